"""Reports for people: the status of a MarketStream, and an Event when a condition turns for better or worse."""

import re
import time
from collections.abc import Mapping
from functools import partial
from typing import Any, Final, Literal

import msgspec

from marketstream_operator import metrics
from marketstream_operator.cluster.observed import Observed
from marketstream_operator.cluster.projections import OTHER_OPERATOR, MarketStream, is_refused, stream_of
from marketstream_operator.kinds import MARKET_STREAM
from marketstream_operator.kube.api import Api
from marketstream_operator.kube.events import Recorder
from marketstream_operator.names import StreamKey
from marketstream_operator.reconcile.conditions import status_of, time_text
from marketstream_operator.reconcile.findings import Findings
from marketstream_operator.reconcile.topics import PENDING
from marketstream_operator.resource.status import PENDING as NOT_SEEN
from marketstream_operator.resource.status import Condition, PairsStatus, Status

STATUS_S: Final = 60.0
"""Seconds between writes of a status in which only rates and times have changed."""

REFUSE_S: Final = 600.0
"""Seconds before OtherOperator is written again to a status that the other operator has corrected since."""

GOOD: Final = {"Ready": "True", "Degraded": "False", "SpecValid": "True", "KafkaReady": "True", "Fresh": "True"}
"""The conditions whose changes become Events, each with its good status."""

AT_FIRST: Final = frozenset({"SpecValid", "Degraded"})
"""Conditions of GOOD that should be good from the start: the first status becomes an Event only if it is bad.

Of the others, the first status becomes an Event only if it is good.
"""

NOT_BEGUN: Final = frozenset({("Ready", "WaitingForSecret"), ("Ready", "TopicsNotReady"), ("KafkaReady", "NotAsked")})
"""Conditions with reasons after which the next status counts as the first: the stream waited for Strimzi until then."""

AS_WANTED: Final = frozenset({"HandOver", "WaitingForSecret"})
"""Reasons that are no failure: their Events are Normal although the condition is not good."""

_TIME: Final = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?Z")


class Reporter:
    """Writes the findings of reconciles to the status, to Events and to metrics."""

    def __init__(self, api: Api, observed: Observed, recorder: Recorder, identity: str) -> None:
        self._api = api
        self._observed = observed
        self._recorder = recorder
        self._identity = identity
        self._refused_at: dict[StreamKey, float] = {}
        """The times at which OtherOperator was written."""
        self._written_at: dict[StreamKey, float] = {}
        self._newest: dict[StreamKey, Status] = {}
        for ready in ("True", "False", "Paused"):
            metrics.STREAMS.labels(ready).set_function(partial(self._count, "Ready", ready))
        for fresh in ("True", "False", "Unknown"):
            metrics.FRESH.labels(fresh).set_function(partial(self._count, "Fresh", fresh))
        metrics.OTHER_OPERATOR.set_function(lambda: self._count("Ready", "False", OTHER_OPERATOR))
        metrics.PAIRS.labels("desired").set_function(lambda: sum(each.desired for each in self._pairs()))
        metrics.PAIRS.labels("ready").set_function(lambda: sum(each.ready for each in self._pairs()))

    def _count(self, type_: str, shown: str, reason: str = "") -> int:
        conditions = (each for status in self._newest.values() for each in status.conditions if each.type == type_)
        return sum(_shown(each) == shown and reason in ("", each.reason) for each in conditions)

    def _pairs(self) -> list[PairsStatus]:
        return [status.pairs for status in self._newest.values() if status.pairs is not None]

    def forget(self, key: StreamKey) -> None:
        """Forget a MarketStream that was deleted."""
        self._written_at.pop(key, None)
        self._newest.pop(key, None)
        self._refused_at.pop(key, None)

    async def claim(self, stream: MarketStream) -> MarketStream:
        """Write into the status that this operator serves the stream, and return the stream as it is then.

        Of two operators that do so at the same time, one gets a ConflictError. Raises NotLeadingError, ApiError, too.
        """
        written = {"operator": self._identity}
        answer = await self._api.patch_status(MARKET_STREAM, *stream.key, str(stream.version), written)
        claimed = stream_of(answer)
        self._observed.see_stream(claimed)
        return claimed

    async def report(self, stream: MarketStream, findings: Findings) -> None:
        """Write the status. Raises ConflictError, NotLeadingError, ApiError.

        It is written at once when more than a rate or a time has changed, otherwise at most every STATUS_S seconds. A
        process that has just started, and knows no rates yet, also waits STATUS_S seconds before such a write.
        """
        before = conditions_of(stream)
        symbols_before = [str(each.get("name")) for each in stream.status.get("symbols") or ()]
        status = status_of(findings, before, time_text(time.time()), symbols_before)
        served_by = stream.status.get("operator") if findings.other_operator else self._identity
        status = msgspec.structs.replace(status, operator=served_by)
        self._newest[stream.key] = status
        if findings.other_operator and not self._may_refuse(stream):
            return
        written = as_json(status)
        if written == {name: stream.status.get(name) for name in written}:
            return
        now = time.monotonic()
        if not _is_news(written, stream.status) and now - self._written_at.setdefault(stream.key, now) < STATUS_S:
            return
        answer = await self._api.patch_status(MARKET_STREAM, *stream.key, str(stream.version), written)
        self._written_at[stream.key] = time.monotonic()
        if findings.other_operator:
            self._refused_at[stream.key] = time.monotonic()
        self._observed.see_stream(stream_of(answer))
        self._record(stream, before, status)

    def _may_refuse(self, stream: MarketStream) -> bool:
        """Return True if OtherOperator may be written: not again and again, if the other operator still serves it."""
        refused_at = self._refused_at.get(stream.key)
        return is_refused(stream) or refused_at is None or time.monotonic() - refused_at >= REFUSE_S

    def _record(self, stream: MarketStream, before: Mapping[str, Condition], status: Status) -> None:
        """Record changes of conditions as Events, for `kubectl describe`."""
        recorded = set[str]()
        for condition in status.conditions:
            good, last = GOOD.get(condition.type), before.get(condition.type)
            turned = last is None or (last.status, last.reason) != (condition.status, condition.reason)
            if turned and condition.type == "Paused" and condition.reason != "NotPaused":
                told: Literal["Normal", "Warning"] = "Warning" if condition.reason == "DrainTimeout" else "Normal"
                message = f"spec.paused is true: {condition.message}"
                self._recorder.record(stream.about, told, condition.reason, message)
            if condition.reason in ("Paused", PENDING.reason):
                continue  # the condition Paused says more than Ready; an answer of Kafka is due within seconds
            if last is not None and last.reason in (PENDING.reason, NOT_SEEN):
                last = None
            if good is None or not turned or condition.status == "Unknown" or condition.message in recorded:
                continue
            is_good = condition.status == good
            is_first = last is None or (last.type, last.reason) in NOT_BEGUN
            if is_first and is_good == (condition.type in AT_FIRST):
                continue
            recorded.add(condition.message)
            tone: Literal["Normal", "Warning"] = "Normal" if is_good or condition.reason in AS_WANTED else "Warning"
            self._recorder.record(stream.about, tone, condition.reason, condition.message)


def as_json(status: Status) -> dict[str, Any]:
    """Return the status as the API server will return it, for a comparison: `to_builtins` would leave tuples."""
    found: dict[str, Any] = msgspec.json.decode(msgspec.json.encode(status))
    return found


def conditions_of(stream: MarketStream) -> dict[str, Condition]:
    """Return the conditions in the status of a MarketStream, by type; none if they cannot be read."""
    try:
        found = msgspec.convert(stream.status.get("conditions") or [], tuple[Condition, ...])
    except msgspec.ValidationError:
        return {}
    return {condition.type: condition for condition in found}


def _shown(condition: Condition) -> str:
    """Return the status as metrics count it: a paused stream is ready as wanted, but streams nothing."""
    is_paused = condition.type == "Ready" and condition.reason == "Paused"
    return "Paused" if is_paused else condition.status


def _is_news(after: Mapping[str, Any], before: Mapping[str, Any]) -> bool:
    """Return True if a condition, the pair of a symbol, a count or the generation has changed.

    Times within messages do not count.
    """
    return _essence(after) != _essence(before)


def _essence(status: Mapping[str, Any]) -> tuple[Any, ...]:
    conditions = {
        each.get("type"): (
            each.get("status"), each.get("reason"), each.get("observedGeneration"),
            _TIME.sub("", str(each.get("message"))),
        )
        for each in status.get("conditions") or ()
    }  # fmt: skip
    symbols = [(each.get("name"), each.get("pair")) for each in status.get("symbols") or ()]
    return conditions, symbols, status.get("pairs"), status.get("observedGeneration"), status.get("reason")
