"""The Deployments of a MarketStream: a producer and a processor for each pair."""

from collections.abc import Iterator, Sequence
from functools import partial
from typing import NamedTuple

from marketstream_operator import names
from marketstream_operator.cluster.access import Cluster
from marketstream_operator.cluster.apply import write_all
from marketstream_operator.cluster.projections import Deployment
from marketstream_operator.kinds import DEPLOYMENT
from marketstream_operator.names import ROLES, Role, StreamKey
from marketstream_operator.plan import desired
from marketstream_operator.plan.desired import Owner, Pair
from marketstream_operator.reconcile.drain import NOT_PAUSED, Pause
from marketstream_operator.reconcile.layout import Layout
from marketstream_operator.reconcile.rollout import Rollout
from marketstream_operator.reconcile.wanted import Wanted
from marketstream_operator.settings import OperatorSettings


class _Due(NamedTuple):
    """A Deployment that is to be written, and its present form, if any."""

    pair: Pair
    role: Role
    replicas: int
    spec_digest: str
    digest: str
    child: Deployment | None


class Deployments:
    """Applies and prunes the Deployments of MarketStreams."""

    def __init__(self, settings: OperatorSettings, cluster: Cluster, rollout: Rollout) -> None:
        self._settings = settings
        self._cluster = cluster
        self._rollout = rollout

    async def apply(self, owner: Owner, wanted: Wanted, pairs: Sequence[Pair], pause: Pause) -> int:
        """Write the Deployments that are due. Return the number of pairs that wait for their turn.

        Raises ApiError, NotLeadingError.
        """
        layout, waiting, writes = self._layout(owner.key, pairs), set[str](), list[_Due]()
        for due in self._due(owner, wanted, pairs, pause):
            if due.pair.id not in waiting and self._may_write(owner.key, due, layout):
                writes.append(due)
            else:
                waiting.add(due.pair.id)
        await write_all(partial(self._write, owner, wanted, due) for due in writes)
        return len(waiting)

    def _layout(self, key: StreamKey, pairs: Sequence[Pair]) -> Layout:
        return Layout(pairs, self._cluster.observed.deployments(key), self._settings.max_rolling_pairs)

    def _due(self, owner: Owner, wanted: Wanted, pairs: Sequence[Pair], pause: Pause) -> Iterator[_Due]:
        operator = desired.operator_digest(self._settings, wanted.connection)
        live = {child.name: child for child in self._cluster.observed.deployments(owner.key)}
        for pair in pairs:
            for role, runs in zip(ROLES, pause.runs, strict=True):
                child = live.get(names.child_name(owner.key.name, pair.id, role))
                of_spec = desired.spec_digest(wanted.spec, pair, role, int(runs))
                digest = names.digest(of_spec, operator, owner.uid)
                if self._cluster.applier.is_due(DEPLOYMENT, child, digest):
                    yield _Due(pair, role, int(runs), of_spec, digest, child)

    def _may_write(self, key: StreamKey, due: _Due, layout: Layout) -> bool:
        """Return True if a Deployment may be written now: a roll, or a pair that replaces others, needs a turn.

        A pair that is not ready, or is stuck, needs no turn: a roll costs it nothing, and it may never settle. Nor does
        a pause or a resume.
        """
        pair, child = due.pair, due.child
        if child is None:
            return not (due.replicas and layout.is_moving(pair)) or layout.may_change(pair)
        if child.digest == due.digest or child.replicas != due.replicas or not layout.is_well(pair):
            return True
        if child.spec_digest == due.spec_digest:
            return self._rollout.may_roll(key, pair.id)
        return layout.may_change(pair)

    async def _write(self, owner: Owner, wanted: Wanted, due: _Due) -> None:
        child = due.child
        is_same = child is not None and child.digest == due.digest
        roll = child.roll if child is not None and is_same else self._rollout.mark(owner.key, due.pair.id)
        body = desired.deployment(
            owner, wanted.spec, due.pair, due.role, due.replicas, wanted.connection, self._settings, due.digest, roll
        )
        await self._cluster.applier.apply(DEPLOYMENT, body, child)

    async def prune(self, owner: Owner, pairs: Sequence[Pair], pause: Pause) -> None:
        """Delete the Deployments of pairs that are no longer wanted. Those of another owner are left alone.

        A pair of a running stream stays until each of its symbols has a ready pair elsewhere. Raises ApiError,
        NotLeadingError.
        """
        layout = self._layout(owner.key, pairs)
        wanted = {names.child_name(owner.key.name, pair.id, role) for pair in pairs for role in ROLES}
        await write_all(
            partial(self._cluster.api.delete, DEPLOYMENT, owner.key.namespace, child.name, child.uid, child.version)
            for child in self._cluster.observed.deployments(owner.key)
            if child.name not in wanted
            and child.owner_uid == owner.uid
            and (pause is not NOT_PAUSED or layout.is_replaced(child.pair))
        )
