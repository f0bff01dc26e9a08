"""Topics, users and access lists, by Kafka's own programs in its pod."""

from collections.abc import Mapping
from typing import Any, Final

from tests.e2e.kube import Kube
from tests.e2e.strimzi.objects import LOCAL

_LIMIT_S: Final = 60.0


class Admin:
    """The administration of the broker in a pod."""

    def __init__(self, kube: Kube, pod: str) -> None:
        self._kube = kube
        self._pod = pod

    async def create_topic(self, name: str, partitions: int, config: Mapping[str, str]) -> None:
        """Create a topic, unless it exists."""
        given = [part for key, value in config.items() for part in ("--config", f"{key}={value}")]
        await self._run(
            "kafka-topics", "--create", "--if-not-exists", "--topic", name, "--partitions", str(partitions), *given
        )

    async def delete_topic(self, name: str) -> None:
        """Delete a topic."""
        await self._run("kafka-topics", "--delete", "--if-exists", "--topic", name)

    async def topics(self) -> set[str]:
        """Return the names of all topics."""
        return set((await self._run("kafka-topics", "--list")).split())

    async def create_user(self, name: str, password: str) -> None:
        """Create a user with a password, or change the password."""
        await self._run(
            "kafka-configs", "--alter", "--entity-type", "users", "--entity-name", name,
            "--add-config", f"SCRAM-SHA-512=[password={password}]",
        )  # fmt: skip

    async def allow(self, user: str, rule: Any) -> None:
        """Grant a user the operations of a rule of a KafkaUser."""
        resource = rule["resource"]
        operations = [part for operation in rule["operations"] for part in ("--operation", operation)]
        await self._run(
            "kafka-acls", "--add", "--allow-principal", f"User:{user}", *operations,
            f"--{resource['type']}", resource["name"],
            "--resource-pattern-type", {"prefix": "prefixed"}.get(resource["patternType"], resource["patternType"]),
        )  # fmt: skip

    async def _run(self, name: str, *arguments: str) -> str:
        return await self._kube.run(
            "exec", self._pod, "--container", "kafka", "--",
            f"/opt/kafka/bin/{name}.sh", "--bootstrap-server", LOCAL, *arguments, limit=_LIMIT_S,
        )  # fmt: skip
