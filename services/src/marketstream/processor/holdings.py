"""What this process holds: which topics the group assigns to it, and which symbols it has claimed."""

import asyncio
from collections.abc import Iterable

from marketstream.processor import metrics
from marketstream.processor.symbol import OwnedSymbol
from marketstream.settings import Settings
from marketstream.telemetry import logger

log = logger(__name__)


def reclaim_after_s(settings: Settings) -> float:
    """Seconds after which a symbol that seems to be another's is claimed again: by then the consumer group has missed
    whoever is gone, and has said whose the topic is."""
    return settings.kafka_session_timeout_ms / 1000 * 2


class Holdings:
    """The topics assigned and the symbols owned. A topic that is assigned but not owned waits for its claim."""

    def __init__(self) -> None:
        self.owned: dict[str, OwnedSymbol] = {}
        """By topic."""
        self.assigned: set[str] = set()
        self.unclaimed: set[str] = set()
        self.assignments = 0
        """How often the group has assigned topics to this process."""
        self.wants_claim = asyncio.Event()
        self.wants_commit = asyncio.Event()

    def assign(self, topics: Iterable[str]) -> None:
        """The group has assigned the topics, just now or again: their symbols must be claimed."""
        topics = set(topics)
        log.info("assigned", topics=sorted(topics))
        self.assignments += 1
        self.assigned = topics
        self._await_claims(topics)

    def revoke(self, topics: Iterable[str]) -> None:
        """The topics are no longer assigned: what was not committed is another's to read again."""
        for topic in topics:
            self.assigned.discard(topic)
            self.unclaimed.discard(topic)
            self.drop(topic)

    def own(self, owned: OwnedSymbol) -> None:
        """The symbol is claimed."""
        self.unclaimed.discard(owned.topic)
        self.owned[owned.topic] = owned
        metrics.OWNED.set(len(self.owned))

    def drop(self, topic: str) -> None:
        """Forgets the symbol of the topic, and all of it that is not committed."""
        self.owned.pop(topic, None)
        metrics.OWNED.set(len(self.owned))

    def lose(self, topic: str, reclaim_s: float) -> None:
        """Another process has claimed the symbol. The group, too, should have given it the topic; should the topic
        still be assigned here after `reclaim_s` seconds, it is claimed again."""
        self.drop(topic)
        asyncio.get_running_loop().call_later(reclaim_s, self._reclaim, topic)

    def doubt(self, owned: OwnedSymbol, reclaim_s: float) -> None:
        """Redis knows a later owner of the symbol. If there is one, a commit finds out, and the symbol is lost. Should
        it still be owned after `reclaim_s` seconds, Redis has outlived the database, or was away at the claim: the
        symbol is claimed anew, above the fence that Redis knows."""
        asyncio.get_running_loop().call_later(reclaim_s, self._claim_anew, owned)

    def _claim_anew(self, owned: OwnedSymbol) -> None:
        if self.owned.get(owned.topic) is owned:
            log.warning("Redis has a higher fence, but nobody else owns it: claiming it again", **owned.key._asdict())
            self._await_claims({owned.topic})

    def _reclaim(self, topic: str) -> None:
        if topic in self.assigned and topic not in self.owned:
            log.warning("claimed by another process, but still assigned to this one: claiming it again", topic=topic)
            self._await_claims({topic})

    def _await_claims(self, topics: set[str]) -> None:
        for topic in topics:
            self.drop(topic)
        self.unclaimed |= topics
        self.wants_claim.set()
