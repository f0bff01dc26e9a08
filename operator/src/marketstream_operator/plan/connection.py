"""The connection of a stream's pods, and of the operator on its behalf, to Kafka, PostgreSQL and Redis."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from marketstream.settings import Settings

from marketstream_operator.names import Role
from marketstream_operator.plan.podenv import AUTHORITIES

CA_FOLDER: Final = "/etc/marketstream"
CA_FILE: Final = "ca.crt"
"""Folder of the folders of certificate authorities in a pod, and the file in each."""

_NOT_FOR_PRODUCERS: Final = frozenset({"database_url", "database_ca"})


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

    def authorities(self, role: Role) -> dict[str, tuple[str, str]]:
        """Return the Secret and its key of each certificate authority that a pod of this role needs, by its folder."""
        return {
            folder: self.sources[name]
            for name, folder in AUTHORITIES.items()
            if name in self.sources and not (role == "producer" and name in _NOT_FOR_PRODUCERS)
        }

    def environment(self, role: Role) -> list[dict[str, Any]]:
        """Return the `env` of a pod of this role: only the settings that the role needs."""
        entries: list[dict[str, Any]] = [{"name": name.upper(), "value": value} for name, value in self.values.items()]
        for name, (secret, key) in self.sources.items():
            if role == "producer" and name in _NOT_FOR_PRODUCERS:
                continue
            if name in AUTHORITIES:
                entries.append({"name": name.upper(), "value": f"{CA_FOLDER}/{AUTHORITIES[name]}/{CA_FILE}"})
            else:
                reference = {"name": secret, "key": key}
                entries.append({"name": name.upper(), "valueFrom": {"secretKeyRef": reference}})
        return entries
