"""The words in which a service ends its last line when it fails: a code, and the setting at fault if there is one.

The rest of the line may quote anything, even a password that a server repeats. Programs that show the cause to others
therefore take these words alone: the operator writes them into the status of a MarketStream.
"""

import re
from dataclasses import fields
from typing import Final, NamedTuple, Self

from marketstream.settings import Settings

CODES: Final = {
    "setting_invalid": "a setting is missing or cannot be used",
    "kafka_unavailable": "Kafka did not answer in time",
    "kafka_refused": "Kafka refuses the login, a topic or a request",
    "topic_missing": "a topic does not exist",
    "database_unavailable": "PostgreSQL did not answer in time, is read-only or has no tables",
    "database_refused": "PostgreSQL refuses the login or a statement",
    "database_migration_failed": "the tables are those of another version",
    "redis_unavailable": "Redis did not answer in time",
    "redis_refused": "Redis cannot be used: it is a Redis Cluster, or holds the data of another program",
    "symbol_unknown": "the exchange does not list a symbol",
    "exchange_refused": "the exchange refuses a request",
    "exchange_unavailable": "the exchange did not answer in time",
    "system_error": "the operating system refuses a file, an address or a connection",
}
"""The codes and their meaning. They are stable: docs/reference/cli.md lists them."""

_SETTINGS: Final = frozenset(f.name.upper() for f in fields(Settings))
_WORDS: Final = re.compile(r"\[([a-z_]+)(?: ([A-Z_]+))?\]$")


class Failure(NamedTuple):
    """The cause of the end of a service."""

    code: str
    setting: str = ""
    """The name of the setting at fault; empty if there is none."""

    @classmethod
    def read(cls, line: str) -> Self | None:
        """Return the cause at the end of a line; None if the line does not end in known words."""
        found = _WORDS.search(line)
        if found is None or found[1] not in CODES or (found[2] or "") not in _SETTINGS | {""}:
            return None
        return cls(found[1], found[2] or "")

    @property
    def words(self) -> str:
        """The end of the line: `[setting_invalid PACK_MS]`."""
        return f"[{' '.join(filter(None, self))}]"

    @property
    def meaning(self) -> str:
        """The cause as a sentence for people, without anything but these words."""
        about = f" ({self.setting})" if self.setting else ""
        return f"{CODES[self.code]}{about}"
