"""The topics that the consumer group assigns to this process, and the symbols that the process has claimed."""

import asyncio
from collections.abc import Iterable

from marketstream.processor import metrics
from marketstream.processor.symbol import OwnedSymbol
from marketstream.settings import Settings
from marketstream.telemetry import logger

log = logger(__name__)


def reclaim_after_s(settings: Settings) -> float:
    """Return the seconds after which a symbol that seems to have another owner is claimed again.

    By then the consumer group has noticed if the owner has died, and has decided who gets the topic.
    """
    return settings.kafka_session_timeout_ms / 1000 * 2


class Holdings:
    """The assigned topics and the owned symbols. A topic that is assigned but not owned waits for its claim."""

    def __init__(self) -> None:
        self.owned: dict[str, OwnedSymbol] = {}
        """The owned symbols by topic."""
        self.assigned: set[str] = set()
        self.unclaimed: set[str] = set()
        self.assignments = 0
        """The number of times that the group has assigned topics to this process."""
        self.wants_claim = asyncio.Event()
        self.wants_commit = asyncio.Event()

    def assign(self, topics: Iterable[str]) -> None:
        """Take over the topics that the group has assigned: their symbols must be claimed, even if they were before."""
        topics = set(topics)
        log.info("topics assigned", topics=sorted(topics))
        self.assignments += 1
        self.assigned = topics
        self._await_claims(topics)

    def revoke(self, topics: Iterable[str]) -> None:
        """Drop the topics, which are no longer assigned. Their next owners reread the uncommitted records."""
        for topic in topics:
            self.assigned.discard(topic)
            self.unclaimed.discard(topic)
            self.drop(topic)

    def own(self, owned: OwnedSymbol) -> None:
        """Note that the symbol is claimed."""
        self.unclaimed.discard(owned.topic)
        self.owned[owned.topic] = owned
        metrics.OWNED.set(len(self.owned))

    def drop(self, topic: str) -> None:
        """Drop the symbol of the topic, with all its uncommitted state."""
        self.owned.pop(topic, None)
        metrics.OWNED.set(len(self.owned))

    def lose(self, topic: str, reclaim_s: float) -> None:
        """Drop the symbol of the topic, which another process has claimed.

        The consumer group should assign the topic to that process, too. If the topic is still assigned to this process
        after `reclaim_s` seconds, its symbol is claimed again.
        """
        self.drop(topic)
        asyncio.get_running_loop().call_later(reclaim_s, self._reclaim, topic)

    def reclaim_later(self, owned: OwnedSymbol, reclaim_s: float) -> None:
        """Claim a symbol again for which Redis holds a higher fence, if it is still owned after `reclaim_s` seconds.

        If there really is a later owner, a commit notices it before then, and the symbol is lost. Otherwise Redis has
        outlived the database, or was unreachable at the claim. The new claim is above the fence in Redis.
        """
        asyncio.get_running_loop().call_later(reclaim_s, self._reclaim_owned, owned)

    def _reclaim_owned(self, owned: OwnedSymbol) -> None:
        if self.owned.get(owned.topic) is owned:
            log.warning("fence in Redis is higher but no other owner was found, claiming again", **owned.key._asdict())
            self._await_claims({owned.topic})

    def _reclaim(self, topic: str) -> None:
        if topic in self.assigned and topic not in self.owned:
            log.warning("topic is still assigned but its symbol was claimed elsewhere, claiming again", topic=topic)
            self._await_claims({topic})

    def _await_claims(self, topics: set[str]) -> None:
        for topic in topics:
            self.drop(topic)
        self.unclaimed |= topics
        self.wants_claim.set()
