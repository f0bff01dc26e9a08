"""Writes of a status, and the metrics that count MarketStreams."""

from types import SimpleNamespace
from typing import Any, cast

import msgspec
import pytest
from marketstream_operator.cluster.observed import Observed
from marketstream_operator.cluster.projections import MarketStream
from marketstream_operator.kube.events import Recorder
from marketstream_operator.names import StreamKey
from marketstream_operator.plan.desired import Pair
from marketstream_operator.reconcile.conditions import status_of
from marketstream_operator.reconcile.drain import Pause
from marketstream_operator.reconcile.findings import Findings
from marketstream_operator.reconcile.freshness import Reading
from marketstream_operator.reconcile.report import Reporter, _is_news, as_json
from marketstream_operator.reconcile.topics import PENDING, READY
from prometheus_client import REGISTRY


def test_a_status_is_compared_as_the_api_server_tells_it() -> None:
    """Otherwise the same status would be written again and again."""
    findings = Findings(generation=1, pairs=(Pair("a", ("AAA",)), Pair("b", ("BBB",))))
    written = as_json(status_of(findings, {}, "2026-03-01T12:00:00Z"))
    assert isinstance(written["conditions"], list)
    assert isinstance(written["symbols"], list)
    assert written == msgspec.json.decode(msgspec.json.encode(written))


def said(message: str) -> dict[str, Any]:
    return {"conditions": [{"type": "Degraded", "status": "True", "reason": "PodFailed", "message": message}]}


@pytest.mark.parametrize("fraction", ["", ".5", ".123456"])
def test_times_in_a_message_are_no_news(fraction: str) -> None:
    """Log lines of the services have times to the microsecond."""
    before, after = said(f"at 2026-03-01T12:00:00{fraction}Z: it fails"), said("at 2026-03-01T12:00:59.75Z: it fails")
    assert not _is_news(after, before)
    assert _is_news(said(f"at 2026-03-01T12:00:00{fraction}Z: it fails otherwise"), before)


def stream(name: str) -> MarketStream:
    return MarketStream(StreamKey("default", name), name, 1, 1, "2026-03-01T12:00:00Z", False, {}, {})


async def patch_status(_: object, namespace: str, name: str, version: str, status: object) -> dict[str, Any]:
    """Answer as the API server does."""
    meta = {"namespace": namespace, "name": name, "uid": name, "resourceVersion": version, "generation": 1}
    return {"metadata": meta | {"creationTimestamp": "2026-03-01T12:00:00Z"}, "status": status}


class Events:
    """A recorder that keeps type, reason and message of each Event."""

    def __init__(self) -> None:
        self.told: list[tuple[str, str, str]] = []

    def record(self, _: object, *said: str) -> None:
        self.told.append((said[0], said[1], said[2]))


@pytest.mark.parametrize(
    ("end", "type_"), [(Pause("Drained", "every trade"), "Normal"), (Pause("DrainTimeout", "too slow"), "Warning")]
)
async def test_a_pause_has_an_event_when_it_begins_and_one_when_it_ends(end: Pause, type_: str) -> None:
    events, seen = Events(), stream("majors")
    reporter = Reporter(cast("Any", SimpleNamespace(patch_status=patch_status)), Observed(), events, "o")  # type: ignore[arg-type]
    for pause in (
        Pause("Draining", "2 of 2 producers have not stopped yet"),
        Pause("Draining", "1 of 2 producers have not stopped yet"),
        end,
        end,
    ):
        await reporter.report(seen, Findings(generation=1, pause=pause))
        seen = msgspec.structs.replace(seen, status=as_json(reporter._newest[seen.key]))
    assert events.told == [
        ("Normal", "Draining", "spec.paused is true: 2 of 2 producers have not stopped yet"),
        (type_, end.reason, f"spec.paused is true: {end.message}"),
    ]


async def test_topics_that_are_not_checked_yet_are_no_event() -> None:
    events, seen = Events(), stream("majors")
    reporter = Reporter(cast("Any", SimpleNamespace(patch_status=patch_status)), Observed(), events, "o")  # type: ignore[arg-type]
    for topics in (PENDING, READY):
        await reporter.report(seen, Findings(generation=1, topics=topics))
        seen = msgspec.structs.replace(seen, status=as_json(reporter._newest[seen.key]))
    assert events.told == [("Normal", "TopicsReady", READY.message)]


def counted(metric: str, label: str) -> dict[str, float]:
    """Return the values of a metric that are not 0, by one of its labels."""
    (family,) = [each for each in REGISTRY.collect() if each.name == metric]
    return {sample.labels[label]: sample.value for sample in family.samples if sample.value}


async def test_streams_are_counted_by_what_somebody_must_look_at() -> None:
    """A paused stream is no cause for an alert. A silent one is, even if all its pods are healthy."""

    api = cast("Any", SimpleNamespace(patch_status=patch_status))
    reporter = Reporter(api, Observed(), Recorder(api, "operator", "pod"), "markets/one")
    silent = {"AAA": Reading(None, 1_700_000_000.0, None, None, False, False)}
    heard = {"BBB": Reading(1_700_000_000.0, 1_700_000_000.0, 1.0, True, True, False)}
    for name, findings in {
        "silent": Findings(generation=1, readings=silent),
        "heard": Findings(generation=1, readings=heard),
        "new": Findings(generation=1),
        "draining": Findings(generation=1, pause=Pause("Draining", "2 topics"), readings=silent),
        "drained": Findings(generation=1, pause=Pause("Drained", "every trade")),
    }.items():
        await reporter.report(stream(name), findings)
    assert counted("marketstream_operator_streams", "ready") == {"False": 3, "Paused": 2}
    assert counted("marketstream_operator_fresh", "fresh") == {"False": 1, "True": 1, "Unknown": 3}
    reporter.forget(StreamKey("default", "silent"))
    reporter.forget(StreamKey("default", "drained"))
    assert counted("marketstream_operator_streams", "ready") == {"False": 2, "Paused": 1}
    assert counted("marketstream_operator_fresh", "fresh") == {"True": 1, "Unknown": 2}
