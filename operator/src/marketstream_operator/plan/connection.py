"""The connection of a stream's pods, and of the operator on its behalf, to Kafka, PostgreSQL and Redis."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from marketstream.settings import Settings

from marketstream_operator.names import Role

CA_FOLDER: Final = "/etc/marketstream/kafka"
CA_FILE: Final = "ca.crt"
"""Folder and file of Kafka's certificate authority in a pod."""

_NOT_FOR_PRODUCERS: Final = frozenset({"database_url"})


@dataclass(frozen=True, slots=True)
class Connection:
    """The settings of the connection, by the Secrets that hold them and as values."""

    sources: Mapping[str, tuple[str, str]]
    """The Secret and its key for each setting that a Secret gives. Pods refer to them."""
    values: Mapping[str, str]
    """Settings that no Secret gives, as text. Pods get them as they are."""
    settings: Settings
    """All settings of the connection, for the operator's own use."""
    credentials: str
    """Digest of the values. When it changes, the pods roll."""

    @property
    def authority(self) -> tuple[str, str] | None:
        """The Secret and its key with Kafka's certificate authority, or None if none is given."""
        return self.sources.get("kafka_ca_file")

    def environment(self, role: Role) -> list[dict[str, Any]]:
        """Return the `env` of a pod of this role: only the settings that the role needs."""
        entries: list[dict[str, Any]] = [{"name": name.upper(), "value": value} for name, value in self.values.items()]
        for name, (secret, key) in self.sources.items():
            if name == "kafka_ca_file":
                entries.append({"name": "KAFKA_CA_FILE", "value": f"{CA_FOLDER}/{CA_FILE}"})
            elif role != "producer" or name not in _NOT_FOR_PRODUCERS:
                reference = {"name": secret, "key": key}
                entries.append({"name": name.upper(), "valueFrom": {"secretKeyRef": reference}})
        return entries
