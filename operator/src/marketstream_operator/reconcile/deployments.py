"""The Deployments of a MarketStream: a producer and a processor for each pair."""

from collections.abc import Awaitable, Callable, Iterable, Sequence
from functools import partial

from marketstream_operator import names
from marketstream_operator.cluster.access import Cluster
from marketstream_operator.cluster.apply import write_all
from marketstream_operator.cluster.projections import Deployment
from marketstream_operator.kinds import DEPLOYMENT
from marketstream_operator.names import ROLES, Role, StreamKey
from marketstream_operator.plan import desired
from marketstream_operator.plan.desired import Owner, Pair
from marketstream_operator.reconcile.drain import Pause
from marketstream_operator.reconcile.rollout import Rollout
from marketstream_operator.reconcile.wanted import Wanted
from marketstream_operator.settings import OperatorSettings


class Deployments:
    """Applies and prunes the Deployments of MarketStreams."""

    def __init__(self, settings: OperatorSettings, cluster: Cluster, rollout: Rollout) -> None:
        self._settings = settings
        self._cluster = cluster
        self._rollout = rollout

    async def apply(self, owner: Owner, wanted: Wanted, pairs: Sequence[Pair], pause: Pause) -> int:
        """Write the Deployments that are due. Return the number of pairs that wait for their turn to roll.

        Raises ApiError, NotLeadingError.
        """
        operator = desired.operator_digest(self._settings, wanted.connection)
        live = {child.name: child for child in self._cluster.observed.deployments(owner.key)}

        async def apply(pair: Pair, role: Role, replicas: int, digest: str, child: Deployment | None) -> None:
            is_same = child is not None and child.digest == digest
            roll = child.roll if child is not None and is_same else self._rollout.mark(owner.key, pair.id)
            body = desired.deployment(
                owner, wanted.spec, pair, role, replicas, wanted.connection, self._settings, digest, roll
            )
            await self._cluster.applier.apply(DEPLOYMENT, body, child)

        waiting: set[str] = set()
        writes: list[Callable[[], Awaitable[None]]] = []
        for pair in pairs:
            for role, runs in zip(ROLES, pause.runs, strict=True):
                child = live.get(names.child_name(owner.key.name, pair.id, role))
                of_spec = desired.spec_digest(wanted.spec, pair, role, int(runs))
                digest = names.digest(of_spec, operator, owner.uid)
                if not self._cluster.applier.is_due(DEPLOYMENT, child, digest):
                    continue
                if _only_operator_changed(child, of_spec, digest) and not self._may_roll(
                    owner.key, pair, live.values()
                ):
                    waiting.add(pair.id)
                    continue
                writes.append(partial(apply, pair, role, int(runs), digest, child))
        await write_all(writes)
        return len(waiting)

    def _may_roll(self, key: StreamKey, pair: Pair, live: Iterable[Deployment]) -> bool:
        """Return True if the pair may roll now.

        A pair that is not ready, or is stuck, needs no turn: a roll costs it nothing, and it may never settle.
        """
        is_well = all(child.is_ready and not child.is_stuck for child in live if child.pair == pair.id)
        return not is_well or self._rollout.may_roll(key, pair.id)

    async def prune(self, owner: Owner, pairs: Iterable[Pair]) -> None:
        """Delete the Deployments of pairs that are no longer wanted. Those of another owner are left alone.

        Raises ApiError, NotLeadingError.
        """
        wanted = {names.child_name(owner.key.name, pair.id, role) for pair in pairs for role in ROLES}
        await write_all(
            partial(self._cluster.api.delete, DEPLOYMENT, owner.key.namespace, child.name, child.uid, child.version)
            for child in self._cluster.observed.deployments(owner.key)
            if child.name not in wanted and child.owner_uid == owner.uid
        )


def _only_operator_changed(child: Deployment | None, spec_digest: str, digest: str) -> bool:
    return child is not None and child.spec_digest == spec_digest and child.digest != digest
