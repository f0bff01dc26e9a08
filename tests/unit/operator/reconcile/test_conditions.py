"""From the findings of a reconcile to the status: every condition and reason."""

from typing import Any

import msgspec
import pytest
from marketstream_operator.cluster.podproblems import Problem
from marketstream_operator.cluster.projections import Deployment
from marketstream_operator.names import StreamKey
from marketstream_operator.plan.desired import Pair
from marketstream_operator.reconcile.conditions import status_of, time_text, two_digits
from marketstream_operator.reconcile.drain import Pause
from marketstream_operator.reconcile.findings import Findings
from marketstream_operator.reconcile.freshness import Reading
from marketstream_operator.reconcile.topics import PENDING, READY, TopicState
from marketstream_operator.resource.errors import AwaitedError, SpecError
from marketstream_operator.resource.status import Condition, Status

KEY = StreamKey("markets", "majors")
THEN, NOW = "2026-03-01T12:00:00Z", "2026-03-01T12:05:00Z"
PAIRS = (Pair("a", ("AAA",)), Pair("b", ("BBB",)))
AT = 1_772_366_400.0  # THEN
HEARD = Reading(AT, AT, 12.345, True, True, False)


def child(pair: str, role: str, **changes: Any) -> Deployment:
    made = Deployment(
        key=KEY, name=f"majors-{pair}-{role}", uid="u", version=1, pair=pair, role=role, exchange="binance",
        symbols=(), owner_uid="o", digest="d", spec_digest="s", managed="m", replicas=1, generation=1, is_settled=True,
        is_ready=True,
    )  # fmt: skip
    return msgspec.structs.replace(made, **changes)


HEALTHY = tuple(child(pair.id, role) for pair in PAIRS for role in ("producer", "processor"))


def findings(**changes: Any) -> Findings:
    """Return the findings of two healthy pairs with data, but for the changes."""
    readings = {"AAA": HEARD, "BBB": HEARD}
    usual = Findings(generation=3, topics=READY, pairs=PAIRS, live=HEALTHY, readings=readings)
    return msgspec.structs.replace(usual, **changes)


def said(
    found: Findings, before: dict[str, Condition] | None = None, told: tuple[str, ...] = ()
) -> dict[str, tuple[str, str, str]]:
    conditions = status_of(found, before or {}, NOW, told).conditions
    return {each.type: (each.status, each.reason, each.message) for each in conditions}


def test_all_is_well() -> None:
    assert {kind: found[:2] for kind, found in said(findings()).items()} == {
        "Ready": ("True", "Running"),
        "Progressing": ("False", "Settled"),
        "Degraded": ("False", "AsExpected"),
        "Reconciling": ("False", "Settled"),
        "Stalled": ("False", "AsExpected"),
        "SpecValid": ("True", "Valid"),
        "KafkaReady": ("True", "TopicsReady"),
        "ProducersReady": ("True", "AllReady"),
        "ProcessorsReady": ("True", "AllReady"),
        "Fresh": ("True", "Heard"),
        "Paused": ("False", "NotPaused"),
    }


UNREADY = (child("a", "producer", is_ready=False, is_settled=False), *HEALTHY[1:])
QUIET = Reading(AT - 300, AT, 0.0, True, True, True)
STALE = Reading(AT - 300, AT - 300, 0.0, True, False, False)
UNLISTED = Reading(None, None, None, None, False, False, True)
UNHEARD = Reading(None, None, None, None, None, False)
INVALID = SpecError("spec.symbols[1]", "got 'x'")
STARTING: dict[str, Any] = {
    "error": AwaitedError("spec.connectionSecretRef", "Strimzi has not created the Secret yet"),
    "live": (), "topics": None, "readings": {},
}  # fmt: skip
NOT_READY = TopicState(False, "TopicsNotReady", "Strimzi has not created 1 of 2")
ORPHANS = [StreamKey("x", "old-ccc-processor"), StreamKey("x", "old-ccc-producer"), StreamKey("y", "a")]
ORPHANED = "CCC: delete them and 1 other Deployment, if nobody needs them: kubectl -n x delete deployments old-ccc-proc"
PAUSED = Pause("Drained", "every trade")
AWAY = TopicState(False, "KafkaUnavailable", "no answer")


@pytest.mark.parametrize(
    ("changes", "kind", "verdict", "reason", "message"),
    [
        ({"live": UNREADY}, "Ready", "False", "NotAllReady", "1 of 2 producers are ready"),
        *(
            ({"other_operator": "of other/lease", "pause": PAUSED}, kind, verdict, "OtherOperator", "")
            for kind, verdict in {
                "Ready": "False",
                "Progressing": "False",
                "Degraded": "True",
                "SpecValid": "Unknown",
                "KafkaReady": "Unknown",
                "Fresh": "Unknown",
            }.items()
        ),
        ({"other_operator": "of other/lease"}, "Ready", "False", "OtherOperator", "of other/lease"),
        ({"stopped": ["Deployment majors-a-producer"]}, "Degraded", "True", "WrittenTooOften", "majors-a-producer"),
        ({"stopped": ["Deployment majors-a-producer"]}, "Ready", "True", "Running", "2 of 2 pairs are running"),
        ({"live": UNREADY}, "ProducersReady", "False", "NotAllReady", "1 of 2 producers are ready"),
        ({"live": UNREADY}, "ProcessorsReady", "True", "AllReady", "2 of 2 processors are ready"),
        ({"live": UNREADY}, "Progressing", "True", "RollingOut", "1 Deployment still rolling out"),
        ({"live": ()}, "Ready", "False", "NotAllReady", "0 of 2 producers are ready"),
        ({"waiting": 4}, "Progressing", "True", "WaitingForTurn", "4 pairs waiting for other pairs to roll"),
        ({"handed_over": ["CCC"]}, "Progressing", "True", "HandOver", "to stop running CCC"),
        *(
            ({"handed_over": ["CCC"], "orphans": ORPHANS}, kind, verdict, "Orphaned", ORPHANED)
            for kind, verdict in {"Ready": "False", "Progressing": "False", "Degraded": "True"}.items()
        ),
        ({"handed_over": ["CCC"]}, "Ready", "False", "HandOver", "CCC"),
        ({"error": INVALID}, "SpecValid", "False", "Invalid", "spec.symbols[1]: got 'x'; the last good spec"),
        ({"error": INVALID}, "Ready", "False", "Invalid", "spec.symbols[1]"),
        ({"error": INVALID}, "Progressing", "False", "Settled", "nothing changes"),
        ({"pairs": (), "live": ()}, "ProducersReady", "False", "NotAllReady", "no pairs"),
        ({"error": INVALID}, "Degraded", "True", "Invalid", "spec.symbols[1]"),
        (
            {"conflicts": {"AAA": StreamKey("x", "y")}},
            "SpecValid",
            "False",
            "Conflict",
            "AAA: already run by the older MarketStream x/y; list each symbol in only one",
        ),
        ({"conflicts": {"AAA": StreamKey("x", "y")}}, "Degraded", "True", "Conflict", "x/y"),
        ({"topics": PENDING}, "KafkaReady", "Unknown", "NotCheckedYet", "not answered yet"),
        ({"topics": PENDING}, "Ready", "False", "NotCheckedYet", "not answered yet"),
        ({"topics": None}, "KafkaReady", "Unknown", "NotAsked", ""),
        ({"topics": NOT_READY}, "KafkaReady", "False", "TopicsNotReady", "Strimzi"),
        ({"topics": NOT_READY}, "Degraded", "False", "AsExpected", ""),
        ({"topics": AWAY}, "KafkaReady", "False", "KafkaUnavailable", "no answer"),
        ({"topics": AWAY}, "Ready", "False", "KafkaUnavailable", "no answer"),
        ({"topics": AWAY}, "Degraded", "True", "KafkaUnavailable", "no answer"),
        ({"problems": [Problem("CrashLoop", "boom")]}, "Degraded", "True", "CrashLoop", "boom"),
        ({"problems": [Problem("CrashLoop", "boom")]}, "Ready", "True", "Running", ""),
        ({"readings": {"AAA": QUIET, "BBB": QUIET}}, "Fresh", "True", "Quiet", "no trades"),
        ({"readings": {"AAA": QUIET, "BBB": HEARD}}, "Fresh", "True", "Heard", ""),
        ({"readings": {"AAA": STALE, "BBB": HEARD}}, "Fresh", "False", "Stale", "AAA since 2026-03-01T11:55:00Z"),
        (
            {"readings": {"AAA": UNLISTED, "BBB": HEARD}},
            "Fresh",
            "False",
            "UnknownSymbol",
            "does not list AAA: correct",
        ),
        ({"readings": {"AAA": UNLISTED, "BBB": STALE}}, "Fresh", "False", "Stale", "BBB since"),
        ({"readings": {"AAA": STALE, "BBB": HEARD}}, "Ready", "True", "Running", ""),
        ({"readings": {"AAA": UNHEARD, "BBB": HEARD}}, "Fresh", "Unknown", "NotHeardYet", ""),
        ({"readings": {}}, "Fresh", "Unknown", "NotHeardYet", ""),
        ({"readings": {}, "error": INVALID}, "Fresh", "Unknown", "NotAsked", "freshness is not checked"),
        ({"error": INVALID}, "Fresh", "True", "Heard", ""),
        (STARTING, "SpecValid", "True", "Valid", ""),
        (STARTING, "Progressing", "True", "WaitingForSecret", "Strimzi has not created the Secret yet"),
        (STARTING, "Ready", "False", "WaitingForSecret", "Strimzi has not created the Secret yet"),
        (STARTING, "Degraded", "False", "AsExpected", ""),
        (STARTING, "KafkaReady", "Unknown", "NotAsked", "until the Secret exists"),
        (STARTING, "Fresh", "Unknown", "NotAsked", "until the Secret exists"),
        ({"error": STARTING["error"]}, "Ready", "True", "Running", ""),
        ({"error": STARTING["error"]}, "Progressing", "True", "WaitingForSecret", "yet"),
        ({**STARTING, "conflicts": {"BBB": KEY}}, "SpecValid", "False", "Conflict", "BBB"),
        ({"is_redis_unavailable": True}, "Fresh", "Unknown", "RedisUnavailable", "Redis does not answer"),
        ({"is_redis_unavailable": True, "redis_problem": "NOPERM"}, "Fresh", "Unknown", "RedisUnavailable", "NOPERM"),
        ({"readings": {"AAA": STALE}, "redis_problem": "NOPERM"}, "Fresh", "False", "Stale", "11:55:00Z; NOPERM"),
        ({"pause": Pause("Draining", "2 topics")}, "Paused", "False", "Draining", "2 topics"),
        ({"pause": Pause("Draining", "2 topics")}, "Progressing", "True", "Draining", "2 topics"),
        ({"pause": Pause("Draining", "2 topics")}, "ProducersReady", "False", "Paused", "the producers are stopped"),
        ({"pause": Pause("Draining", "2 topics")}, "ProcessorsReady", "True", "AllReady", ""),
        ({"pause": Pause("Drained", "every trade")}, "Paused", "True", "Drained", "every trade"),
        (
            {"pause": Pause("Drained", "every trade")},
            "ProcessorsReady",
            "False",
            "Paused",
            "the processors are stopped",
        ),
        ({"pause": Pause("DrainTimeout", "left")}, "Paused", "True", "DrainTimeout", "left"),
        ({"pause": Pause("Paused", "no pods")}, "Ready", "True", "Paused", "spec.paused is true: no pods"),
        ({"pause": Pause("Draining", "2 topics")}, "Ready", "False", "Paused", "spec.paused is true: 2 topics"),
        ({"pause": PAUSED, "error": INVALID}, "Ready", "False", "Paused", ""),
        ({"pause": PAUSED}, "Reconciling", "False", "Settled", ""),
        ({"pause": Pause("Draining", "2 topics")}, "Reconciling", "True", "Draining", "2 topics"),
        ({"live": UNREADY}, "Reconciling", "True", "RollingOut", ""),
        ({"topics": AWAY}, "Reconciling", "True", "KafkaUnavailable", "no answer"),
        ({"error": INVALID, "live": UNREADY}, "Reconciling", "False", "Settled", ""),
        ({"error": INVALID}, "Stalled", "True", "Invalid", "spec.symbols[1]"),
        ({"conflicts": {"AAA": StreamKey("x", "y")}}, "Stalled", "True", "Conflict", "x/y"),
        ({"other_operator": "of other/lease"}, "Stalled", "True", "OtherOperator", "of other/lease"),
        ({"handed_over": ["CCC"], "orphans": ORPHANS}, "Stalled", "True", "Orphaned", ORPHANED),
        ({"handed_over": ["CCC"]}, "Reconciling", "True", "HandOver", "CCC"),
        ({"pause": Pause("Paused", "no pods")}, "Fresh", "Unknown", "Paused", ""),
    ],
)
def test_what_is_found_is_said(changes: dict[str, Any], kind: str, verdict: str, reason: str, message: str) -> None:
    status, why, words = said(findings(**changes))[kind]
    assert (status, why) == (verdict, reason)
    assert message in words


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({}, "Running"),
        ({"readings": {"AAA": STALE}}, "Stale"),
        ({"problems": [Problem("Unschedulable", "no node")], "readings": {"AAA": STALE}}, "Unschedulable"),
        ({"live": UNREADY, "problems": [Problem("CrashLoop", "boom")]}, "CrashLoop"),
        ({"live": UNREADY}, "NotAllReady"),
        ({"error": INVALID}, "Invalid"),
        (STARTING, "WaitingForSecret"),
        ({"pause": Pause("Drained", "")}, "Paused"),
    ],
)
def test_the_column_reason_says_what_matters_most(changes: dict[str, Any], reason: str) -> None:
    assert status_of(findings(**changes), {}, NOW).reason == reason


def test_a_condition_keeps_its_time_until_its_status_turns() -> None:
    first = status_of(findings(live=UNREADY), {}, THEN)
    before = {each.type: each for each in first.conditions}
    second = {each.type: each for each in status_of(findings(generation=4), before, NOW).conditions}
    assert second["SpecValid"].last_transition_time == THEN
    assert second["Ready"].last_transition_time == NOW
    assert {each.observed_generation for each in second.values()} == {4}


def test_counts_and_rates() -> None:
    status = status_of(findings(live=UNREADY), {}, NOW)
    assert (status.observed_generation, status.symbol_count) == (3, 2)
    assert msgspec.to_builtins(status.pairs) == {"desired": 2, "ready": 1, "summary": "1/2"}
    assert (status.last_trade_time, status.trades_per_second) == (THEN, 25.0)  # 24.69
    assert msgspec.to_builtins(status.symbols[0]) == {
        "name": "AAA", "pair": "a", "lastTradeTime": THEN, "tradesPerSecond": 12.0, "complete": True,
    }  # fmt: skip


def test_of_a_symbol_that_was_not_heard_of_yet_nothing_is_said() -> None:
    status = status_of(findings(readings={"AAA": UNHEARD}), {}, NOW)
    assert [msgspec.to_builtins(each) for each in status.symbols] == [
        {"name": "AAA", "pair": "a"},
        {"name": "BBB", "pair": "b"},
    ]
    assert (status.last_trade_time, status.trades_per_second) == (None, None)


def test_many_symbols_are_counted_not_named() -> None:
    readings = {f"S{number}": STALE for number in range(9)}
    assert "S0, S1, S2, S3, S4 and 4 others" in said(findings(readings=readings))["Fresh"][2]


def test_problems_that_are_the_same_are_said_once() -> None:
    problems = [Problem("CrashLoop", "boom")] * 3 + [Problem("Unschedulable", "no node")]
    assert said(findings(problems=problems))["Degraded"] == ("True", "CrashLoop", "boom (and 1 other problem)")


def test_an_operator_that_has_just_started_does_not_unsay_what_was_heard() -> None:
    """Its first reads come seconds later."""
    before = {each.type: each for each in status_of(findings(), {}, THEN).conditions}
    unread = dict.fromkeys(("AAA", "BBB"), UNHEARD)
    told = ("AAA", "BBB", "CCC")
    assert said(findings(readings=unread), before, told)["Fresh"][:2] == ("True", "Heard")
    assert said(findings(readings=unread), {}, told)["Fresh"][:2] == ("Unknown", "NotHeardYet")
    resumed = {each.type: each for each in status_of(findings(pause=Pause("Drained", "")), {}, THEN).conditions}
    assert said(findings(readings=unread), resumed, told)["Fresh"][:2] == ("Unknown", "NotHeardYet")


@pytest.mark.parametrize("heard", [HEARD, STALE])
def test_what_was_heard_of_some_symbols_is_not_said_of_others(heard: Reading) -> None:
    before = {each.type: each for each in status_of(findings(readings={"AAA": heard}), {}, THEN).conditions}
    for symbols in (("NEW",), ("AAA", "NEW")):
        changed = findings(generation=4, readings=dict.fromkeys(symbols, UNHEARD))
        assert said(changed, before, ("AAA",))["Fresh"][:2] == ("Unknown", "NotHeardYet")


def test_what_was_heard_is_not_said_for_ever_while_a_spec_that_cannot_work_keeps_anyone_from_looking() -> None:
    before = {each.type: each for each in status_of(findings(), {}, THEN).conditions}
    left_alone = findings(readings={}, topics=None, error=INVALID)
    assert said(left_alone, before, ("AAA", "BBB"))["Fresh"][:2] == ("Unknown", "NotAsked")


@pytest.mark.parametrize(("number", "rounded"), [(0, 0), (0.0123, 0.012), (1.26, 1.3), (126.4, 130.0), (98765, 99000)])
def test_two_digits(number: float, rounded: float) -> None:
    assert two_digits(number) == rounded


def test_times_are_utc() -> None:
    assert time_text(AT + 0.9) == THEN


def test_a_status_is_written_whole() -> None:
    """In a merge patch, null removes a value that is no longer known."""
    written = msgspec.to_builtins(status_of(findings(readings={}), {}, NOW))
    assert set(written) == set(msgspec.to_builtins(Status()))
    assert written["lastTradeTime"] is None


def test_topics_that_are_being_checked_again_stay_as_they_were_unless_a_symbol_is_new() -> None:
    """Otherwise each start of the operator would make every stream unready for a moment."""
    before = {each.type: each for each in status_of(findings(), {}, THEN).conditions}
    again = findings(topics=PENDING)
    assert said(again, before, ("AAA", "BBB"))["KafkaReady"][:2] == ("True", "TopicsReady")
    assert said(again, before, ("AAA",))["KafkaReady"][:2] == ("Unknown", "NotCheckedYet")
