"""The Deployments of a stream: which are written, which wait for a turn, and which are deleted."""

from typing import Any

import msgspec
import pytest
from marketstream_operator.cluster.access import Cluster
from marketstream_operator.cluster.projections import Deployment
from marketstream_operator.kinds import DEPLOYMENT
from marketstream_operator.plan.desired import Owner, Pair
from marketstream_operator.reconcile.deployments import Deployments
from marketstream_operator.reconcile.drain import NOT_PAUSED, Pause
from marketstream_operator.reconcile.rollout import Rollout
from marketstream_operator.reconcile.wanted import Wanted
from marketstream_operator.resource.spec import Spec
from marketstream_operator.settings import OperatorSettings

from tests.unit.operator.reconcile.fakes import CONNECTION, KEY, Objects, cluster_of, deployment, names

OWNER = Owner(KEY, "u")
PAIRS = [Pair("a", ("AAA",)), Pair("b", ("BBB",))]
WANTED = Wanted(Spec(exchange="simulator", symbols=("AAA", "BBB")), CONNECTION)


def deployments_of(cluster: Cluster, image: str = "services:1") -> Deployments:
    settings = OperatorSettings(services_image=image, max_rolling_pairs=1)
    return Deployments(settings, cluster, Rollout(cluster.observed, settings.max_rolling_pairs, "mark"))


def observe(cluster: Cluster, **changes: Any) -> list[Deployment]:
    """Observe newer versions of all Deployments, with these changes."""
    live = cluster.observed.deployments(KEY)
    found = [msgspec.structs.replace(each, version=each.version + 1, **changes) for each in live]
    for each in found:
        cluster.observed.see(DEPLOYMENT, each)
    return found


async def test_missing_deployments_are_written_once() -> None:
    objects = Objects()
    deployments = deployments_of(cluster_of(objects))
    assert await deployments.apply(OWNER, WANTED, PAIRS, NOT_PAUSED) == 0
    assert sorted(objects.applied) == sorted([*names("a"), *names("b")])
    objects.applied.clear()
    assert await deployments.apply(OWNER, WANTED, PAIRS, NOT_PAUSED) == 0
    assert objects.applied == []


@pytest.mark.parametrize(
    ("pause", "replicas"), [(NOT_PAUSED, (1, 1)), (Pause("Draining", ""), (0, 1)), (Pause("Drained", ""), (0, 0))]
)
async def test_a_pause_stops_producers_before_processors(pause: Pause, replicas: tuple[int, int]) -> None:
    cluster = cluster_of(Objects())
    await deployments_of(cluster).apply(OWNER, WANTED, PAIRS[:1], pause)
    found = {child.role: child.replicas for child in cluster.observed.deployments(KEY)}
    assert (found["producer"], found["processor"]) == replicas


async def test_a_change_of_the_operators_settings_rolls_one_pair_at_a_time() -> None:
    objects = Objects()
    cluster = cluster_of(objects)
    await deployments_of(cluster).apply(OWNER, WANTED, PAIRS, NOT_PAUSED)
    observe(cluster, is_ready=True, is_settled=True, is_rolling=False)
    objects.applied.clear()
    assert await deployments_of(cluster, "services:2").apply(OWNER, WANTED, PAIRS, NOT_PAUSED) == 1
    assert sorted(objects.applied) == sorted(names("a"))


@pytest.mark.parametrize("changes", [{"is_ready": False}, {"is_ready": True, "is_stuck": True}])
async def test_pairs_that_are_not_ready_or_are_stuck_need_no_turn(changes: dict[str, bool]) -> None:
    objects = Objects()
    cluster = cluster_of(objects)
    await deployments_of(cluster).apply(OWNER, WANTED, PAIRS, NOT_PAUSED)
    observe(cluster, is_settled=False, **changes)
    objects.applied.clear()
    assert await deployments_of(cluster, "services:2").apply(OWNER, WANTED, PAIRS, NOT_PAUSED) == 0
    assert len(objects.applied) == 4


async def test_a_change_of_the_spec_rolls_one_pair_at_a_time() -> None:
    objects = Objects()
    cluster = cluster_of(objects)
    await deployments_of(cluster).apply(OWNER, WANTED, PAIRS, NOT_PAUSED)
    observe(cluster, is_ready=True, is_settled=True, is_rolling=False)
    objects.applied.clear()
    changed = msgspec.structs.replace(WANTED.spec, freshness=type(WANTED.spec.freshness)(max_age="90s"))
    assert await deployments_of(cluster).apply(OWNER, Wanted(changed, CONNECTION), PAIRS, NOT_PAUSED) == 1
    assert sorted(objects.applied) == sorted(names("a"))


async def test_a_pause_and_a_resume_need_no_turn() -> None:
    objects = Objects()
    cluster = cluster_of(objects)
    for pause in (NOT_PAUSED, Pause("Drained", ""), NOT_PAUSED):
        objects.applied.clear()
        assert await deployments_of(cluster).apply(OWNER, WANTED, PAIRS, pause) == 0
        assert len(objects.applied) == 4
        observe(cluster, is_ready=pause is NOT_PAUSED, is_settled=True, is_rolling=False)


PACKED = [Pair("p0", ("AAA", "BBB"))]
OLD = [deployment(pair.id, role, symbols=pair.symbols) for pair in PAIRS for role in ("producer", "processor")]


def new(**changes: Any) -> list[Deployment]:
    """Return the Deployments of the packed pair, with these changes of its processor."""
    both = [deployment("p0", role, symbols=("AAA", "BBB")) for role in ("producer", "processor")]
    return [both[0], msgspec.structs.replace(both[1], **changes)]


@pytest.mark.parametrize(
    "live",
    [[], new()[:1], new(is_ready=False, is_settled=False), new(is_settled=False), new(symbols=("AAA",))],
)
async def test_pairs_stay_until_each_symbol_has_a_ready_pair_elsewhere(live: list[Deployment]) -> None:
    objects = Objects()
    await deployments_of(cluster_of(objects, *OLD, *live)).prune(OWNER, PACKED, NOT_PAUSED)
    assert not [name for name in objects.deleted if "-b-" in name]


async def test_pairs_go_when_each_symbol_has_a_ready_pair_elsewhere_or_is_unwanted() -> None:
    objects = Objects()
    await deployments_of(cluster_of(objects, *OLD, *new())).prune(OWNER, PACKED, NOT_PAUSED)
    assert sorted(objects.deleted) == sorted([*names("a"), *names("b")])
    objects = Objects()
    await deployments_of(cluster_of(objects, *OLD)).prune(OWNER, PAIRS[:1], NOT_PAUSED)
    assert sorted(objects.deleted) == sorted(names("b"))
    objects = Objects()
    await deployments_of(cluster_of(objects, *OLD)).prune(OWNER, PACKED, Pause("Draining", ""))
    assert sorted(objects.deleted) == sorted([*names("a"), *names("b")])


async def test_pairs_that_replace_others_are_created_one_at_a_time() -> None:
    objects = Objects()
    cluster = cluster_of(objects, *new())
    for _ in range(2):
        assert await deployments_of(cluster).apply(OWNER, WANTED, PAIRS, NOT_PAUSED) == 1
        assert sorted(objects.applied) == sorted(names("a"))
    observed = [deployment("a", role, version=1000, symbols=("AAA",)) for role in ("producer", "processor")]
    for each in observed:
        digest = next(child.digest for child in cluster.observed.deployments(KEY) if child.name == each.name)
        cluster.observed.see(DEPLOYMENT, msgspec.structs.replace(each, digest=digest))
    objects.applied.clear()
    assert await deployments_of(cluster).apply(OWNER, WANTED, PAIRS, NOT_PAUSED) == 0
    assert set(names("b")) <= set(objects.applied)


async def test_deployments_of_unwanted_pairs_are_deleted_but_none_of_another_owner() -> None:
    objects = Objects()
    live = [deployment(pair, role) for pair in ("a", "gone") for role in ("producer", "processor")]
    foreign = deployment("foreign", "producer", owner_uid="somebody else")
    await deployments_of(cluster_of(objects, *live, foreign)).prune(OWNER, PAIRS, NOT_PAUSED)
    assert sorted(objects.deleted) == sorted(names("gone"))
