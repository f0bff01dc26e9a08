"""The status of a MarketStream, derived from the findings of a reconcile. Pure: no input or output, no clock.

docs/reference/marketstream.md documents every reason; programs rely on them.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Final

from marketstream_operator.cluster.breaker import REFILL_S
from marketstream_operator.cluster.projections import OTHER_OPERATOR, Deployment
from marketstream_operator.names import ROLES, Role
from marketstream_operator.plan.desired import Pair
from marketstream_operator.reconcile.drain import NOT_PAUSED
from marketstream_operator.reconcile.findings import Findings, Found, Verdict, number, some
from marketstream_operator.reconcile.freshness import Reading
from marketstream_operator.reconcile.progress import hand_over, progressing, reconciling, stalled, waiting_for_secret
from marketstream_operator.reconcile.topics import PENDING
from marketstream_operator.resource.status import Condition, PairsStatus, Status, SymbolStatus

NOT_MINE: Final = "not checked: the objects belong to another operator"


def status_of(
    findings: Findings, before: Mapping[str, Condition], now: str, symbols_before: Collection[str] = ()
) -> Status:
    """Return the status. `before` are the conditions of the previous status, `symbols_before` its symbols.

    A condition whose status has changed gets the time `now`; the others keep their times.
    """
    # The previous Fresh says nothing about symbols that its status did not list.
    last_fresh = before.get("Fresh") if findings.readings.keys() <= set(symbols_before) else None
    planned = {symbol for pair in findings.pairs for symbol in pair.symbols}
    last_kafka = before.get("KafkaReady") if planned <= set(symbols_before) else None
    found = [*_conditions(findings, last_fresh, last_kafka)]
    conditions = tuple(_timed(findings.generation, each, before.get(each.type), now) for each in found)
    by_type = {each.type: each for each in found}
    pair_of = {symbol: pair.id for pair in findings.pairs for symbol in pair.symbols}
    symbols = tuple(_symbol(symbol, pair, findings.readings.get(symbol)) for symbol, pair in pair_of.items())
    traded = [reading.last_trade_time for reading in findings.readings.values() if reading.last_trade_time is not None]
    rates = [r.trades_per_second for r in findings.readings.values() if r.trades_per_second is not None]
    ready = sum(_is_ready(pair, findings.live) for pair in findings.pairs)
    return Status(
        observed_generation=findings.generation,
        conditions=conditions,
        symbols=symbols,
        symbol_count=len(symbols),
        pairs=PairsStatus.of(len(findings.pairs), ready),
        last_trade_time=time_text(max(traded)) if traded else None,
        trades_per_second=two_digits(sum(rates)) if rates else None,
        reason=_headline(by_type),
    )


def _timed(generation: int, found: Found, before: Condition | None, now: str) -> Condition:
    has_turned = before is None or before.status != found.status
    return Condition(
        **found._asdict(),
        last_transition_time=now if has_turned or before is None else before.last_transition_time,
        observed_generation=generation,
    )


def _headline(found: Mapping[str, Found]) -> str:
    ready, degraded, fresh = found["Ready"], found["Degraded"], found["Fresh"]
    if ready.reason not in ("Running", "NotAllReady"):
        return ready.reason
    if degraded.status == "True":
        return degraded.reason  # the cause of NotAllReady
    return fresh.reason if ready.status == "True" and fresh.status == "False" else ready.reason


def _conditions(findings: Findings, last_fresh: Condition | None, last_kafka: Condition | None) -> Iterable[Found]:
    spec = _spec_valid(findings)
    kafka = _kafka(findings, last_kafka)
    halves = [_half(findings, "producer"), _half(findings, "processor")]
    fresh = _fresh(findings, last_fresh)
    paused = _paused(findings)
    awaited = [hand_over("Ready", "False", findings)] if findings.handed_over else []
    # A stream that runs already goes on with the connection that it has, for example while a password is replaced.
    waits = findings.is_waiting and findings.topics is None
    secret = [waiting_for_secret("Ready", "False", findings)] if waits else []
    others = [Found("Ready", "False", OTHER_OPERATOR, findings.other_operator)] if findings.other_operator else []
    ready, progress, stuck = (
        _ready(findings, [*others, spec, *secret, kafka, *awaited, *halves], paused), progressing(findings),
        stalled(findings, spec),
    )  # fmt: skip
    yield from (ready, progress, _degraded(findings, spec, kafka), reconciling(ready, progress, stuck), stuck)
    yield from (spec, kafka, *halves, fresh, paused)


def _ready(findings: Findings, needed: Sequence[Found], paused: Found) -> Found:
    if findings.pause is not NOT_PAUSED and not findings.other_operator:
        as_wanted: Verdict = "True" if paused.status == "True" and findings.error is None else "False"
        return Found("Ready", as_wanted, "Paused", f"spec.paused is true: {paused.message}")
    for found in needed:
        if found.status != "True":
            return Found("Ready", "False", found.reason, found.message)
    return Found("Ready", "True", "Running", f"{len(findings.pairs)} of {len(findings.pairs)} pairs are running")


def _degraded(findings: Findings, spec: Found, kafka: Found) -> Found:
    if findings.other_operator:
        return Found("Degraded", "True", OTHER_OPERATOR, findings.other_operator)
    if findings.problems:
        first, *others = sorted(set(findings.problems))
        more = f" (and {number(len(others), 'other problem')})" if others else ""
        return Found("Degraded", "True", first.reason, first.message + more)
    if findings.stopped:
        return Found(
            "Degraded", "True", "WrittenTooOften",
            f"somebody else keeps changing {some(findings.stopped)}, so the operator leaves it alone: stop the other "
            f"writer, which kubectl get --show-managed-fields names. The operator tries again every {REFILL_S / 60:g} "
            "minutes",
        )  # fmt: skip
    if findings.orphans:
        return hand_over("Degraded", "True", findings)
    for found in (spec, kafka):
        if found.status == "False" and found.reason != "TopicsNotReady":
            return Found("Degraded", "True", found.reason, found.message)
    return Found("Degraded", "False", "AsExpected", "no pod is failing")


def _spec_valid(findings: Findings) -> Found:
    if findings.other_operator:
        return Found("SpecValid", "Unknown", OTHER_OPERATOR, NOT_MINE)
    if findings.error is not None and not findings.is_waiting:
        kept = "; the last good spec keeps running" if findings.live else ""
        return Found("SpecValid", "False", "Invalid", f"{findings.error}{kept}")
    if findings.conflicts:
        owners = sorted({str(key) for key in findings.conflicts.values()})
        older = f"older MarketStream{'s' if len(owners) > 1 else ''} {', '.join(owners)}"
        return Found(
            "SpecValid", "False", "Conflict",
            f"{some(list(findings.conflicts))}: already run by the {older}; list each symbol in only one MarketStream",
        )  # fmt: skip
    return Found("SpecValid", "True", "Valid", "the spec is valid")


def _kafka(findings: Findings, last: Condition | None) -> Found:
    if findings.other_operator:
        return Found("KafkaReady", "Unknown", OTHER_OPERATOR, NOT_MINE)
    if findings.topics is None:
        until = "the Secret exists" if findings.is_waiting else "the spec is valid"
        return Found("KafkaReady", "Unknown", "NotAsked", f"the topics are not checked until {until}")
    if findings.topics is PENDING:
        if last is not None and last.status != "Unknown":
            return Found("KafkaReady", last.status, last.reason, last.message)  # the operator has just started
        return Found("KafkaReady", "Unknown", PENDING.reason, PENDING.message)
    return Found(
        "KafkaReady", "True" if findings.topics.is_ready else "False", findings.topics.reason, findings.topics.message
    )


def _half(findings: Findings, role: Role) -> Found:
    kind = "ProducersReady" if role == "producer" else "ProcessorsReady"
    runs = findings.pause.runs[0 if role == "producer" else 1]
    if not runs:
        return Found(kind, "False", "Paused", f"the {role}s are stopped")
    if not findings.pairs:
        return Found(kind, "False", "NotAllReady", "there are no pairs")
    of_role = [child for child in findings.live if child.role == role]
    ready = sum(any(child.pair == pair.id and child.is_ready for child in of_role) for pair in findings.pairs)
    if ready == len(findings.pairs):
        return Found(kind, "True", "AllReady", f"{ready} of {ready} {role}s are ready")
    return Found(kind, "False", "NotAllReady", f"{ready} of {len(findings.pairs)} {role}s are ready")


def _fresh(findings: Findings, last: Condition | None) -> Found:
    if findings.other_operator:
        return Found("Fresh", "Unknown", OTHER_OPERATOR, NOT_MINE)
    if findings.pause is not NOT_PAUSED:
        return Found("Fresh", "Unknown", "Paused", "a paused stream receives no data")
    if findings.is_redis_unavailable:
        problem = findings.redis_problem or "Redis does not answer"
        return Found("Fresh", "Unknown", "RedisUnavailable", f"cannot read freshness from Redis: {problem}")
    readings = findings.readings
    if findings.error is not None and not readings:
        until = "the Secret exists" if findings.is_waiting else "the spec is valid"
        return Found("Fresh", "Unknown", "NotAsked", f"freshness is not checked until {until}")
    unlisted = [symbol for symbol, reading in readings.items() if reading.is_unlisted]
    stale = {symbol: reading for symbol, reading in readings.items() if reading.is_fresh is False}
    if unlisted and stale.keys() <= set(unlisted):
        return Found(
            "Fresh", "False", "UnknownSymbol",
            f"the exchange does not list {some(unlisted)}: correct spec.symbols, or remove what was delisted",
        )  # fmt: skip
    if stale:
        heard = max((reading.heard_until or 0 for reading in stale.values()), default=0)
        since = f" since {time_text(heard)}" if heard else ""
        problem = f"; {findings.redis_problem}" if findings.redis_problem else ""
        silent = [symbol for symbol in stale if symbol not in unlisted]
        more = f"; the exchange does not list {some(unlisted)}" if unlisted else ""
        return Found("Fresh", "False", "Stale", f"no data received for {some(silent)}{since}{more}{problem}")
    unknown = [reading.is_fresh is None for reading in readings.values()]
    if unknown and all(unknown) and last is not None and last.status != "Unknown":
        return Found("Fresh", last.status, last.reason, last.message)  # the operator has just started
    if not unknown or any(unknown):
        return Found("Fresh", "Unknown", "NotHeardYet", "no data received yet")
    if all(reading.is_quiet for reading in readings.values()):
        return Found("Fresh", "True", "Quiet", "the feed is alive, but there are no trades")
    return Found("Fresh", "True", "Heard", "trades are arriving")


def _paused(findings: Findings) -> Found:
    pause = findings.pause
    status: Verdict = "False" if pause.reason in ("NotPaused", "Draining") else "True"
    return Found("Paused", status, pause.reason, pause.message)


def _is_ready(pair: Pair, live: Sequence[Deployment]) -> bool:
    return sum(child.pair == pair.id and child.is_ready for child in live) == len(ROLES)


def _symbol(symbol: str, pair: str, reading: Reading | None) -> SymbolStatus:
    if reading is None:
        return SymbolStatus(name=symbol, pair=pair)
    traded, rate = reading.last_trade_time, reading.trades_per_second
    return SymbolStatus(
        name=symbol,
        pair=pair,
        last_trade_time=None if traded is None else time_text(traded),
        trades_per_second=None if rate is None else two_digits(rate),
        complete=reading.is_complete,
    )


def two_digits(number: float) -> float:
    """Return the number rounded to two significant digits: with more, it would change all the time."""
    return float(f"{number:.2g}")


def time_text(seconds: float) -> str:
    """Return Unix seconds as Kubernetes writes times, such as 2026-03-01T12:00:00Z."""
    return datetime.fromtimestamp(int(seconds), UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
