"""How a stream's pods, and the operator for it, reach Kafka, PostgreSQL and Redis."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from marketstream.settings import Settings

from marketstream_operator.names import Role

CA_FOLDER: Final = "/etc/marketstream/kafka"
CA_FILE: Final = "ca.crt"
"""Where a pod finds the authority of Kafka's certificates."""

_NOT_FOR_PRODUCERS: Final = frozenset({"database_url"})


@dataclass(frozen=True, slots=True)
class Connection:
    """`sources` names, for every setting that is given, the Secret and the key in it; `settings` are their values, for
    the operator's own use. `credentials` is a digest of the values: other ones roll the pods."""

    sources: Mapping[str, tuple[str, str]]
    values: Mapping[str, str]
    settings: Settings
    credentials: str

    @property
    def authority(self) -> tuple[str, str] | None:
        """The Secret and the key with the authority of Kafka's certificates."""
        return self.sources.get("kafka_ca_file")

    def environment(self, role: Role) -> list[dict[str, Any]]:
        """The environment by which a pod of this role gets what it needs, and no more."""
        entries: list[dict[str, Any]] = [{"name": name.upper(), "value": value} for name, value in self.values.items()]
        for name, (secret, key) in self.sources.items():
            if name == "kafka_ca_file":
                entries.append({"name": "KAFKA_CA_FILE", "value": f"{CA_FOLDER}/{CA_FILE}"})
            elif role != "producer" or name not in _NOT_FOR_PRODUCERS:
                reference = {"name": secret, "key": key}
                entries.append({"name": name.upper(), "valueFrom": {"secretKeyRef": reference}})
        return entries
