"""The operator as a process: it logs in, watches and, while it holds the lease, reconciles."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Iterator
from functools import partial
from pathlib import Path
from typing import Final

from kubernetes.aio.client.configuration import Configuration
from marketstream.backoff import delays
from marketstream.service import Health, health_app, run_until, serving
from marketstream.telemetry import logger

from marketstream_operator import metrics
from marketstream_operator.cluster.access import Cluster
from marketstream_operator.cluster.apply import Applier
from marketstream_operator.cluster.claims import Claims
from marketstream_operator.cluster.informer import Informer
from marketstream_operator.cluster.listing import NamespacesByKind
from marketstream_operator.cluster.observed import Observed
from marketstream_operator.cluster.watches import Watches
from marketstream_operator.kinds import DEPLOYMENT, KAFKA_TOPIC, MARKET_STREAM, POD, Kind
from marketstream_operator.kube.api import Api, ApiError
from marketstream_operator.kube.election import Election, identity
from marketstream_operator.kube.events import Recorder
from marketstream_operator.kube.login import configuration
from marketstream_operator.kube.workqueue import WorkQueue, work
from marketstream_operator.names import StreamKey
from marketstream_operator.reconcile.connections import Connections
from marketstream_operator.reconcile.freshness import FreshnessMonitor
from marketstream_operator.reconcile.probers import Probers
from marketstream_operator.reconcile.reconciler import Feedback, Platform, Reconciler
from marketstream_operator.reconcile.report import Reporter
from marketstream_operator.reconcile.topics import ExternalTopics, StrimziTopics
from marketstream_operator.settings import OperatorSettings

log = logger(__name__)

RECONCILE_LIMIT_S: Final = 120.0
"""Seconds for one reconcile. A reconcile of 1,000 symbols takes 20."""

RESYNCS_MISSED: Final = 5
"""Consecutive resyncs that may fail before the leader is not ready."""


class Operator:
    """All parts of the operator, put together. They share one event loop and need no locks."""

    def __init__(self, settings: OperatorSettings, login: Configuration) -> None:
        self._settings = settings
        served: NamespacesByKind = dict.fromkeys((MARKET_STREAM, DEPLOYMENT, POD), settings.namespaces)
        topics: NamespacesByKind = {KAFKA_TOPIC: (settings.pod_namespace,)} if settings.kafka_mode == "strimzi" else {}
        self._api = Api(login, may_write=self._may_write)
        self._queue: WorkQueue[StreamKey] = WorkQueue()
        self._election = Election(self._api, settings.pod_namespace, settings.lease_name, identity(settings.pod_name))
        self._observed, claims = Observed(), Claims()
        applier = Applier(self._api, self._observed, settings.identity)
        self._probers = Probers(self._queue.add)
        self._freshness = FreshnessMonitor(self._queue.add)
        self._recorder = Recorder(self._api, "marketstream-operator", settings.pod_name)
        self._informer = Informer(
            self._api,
            {**served, **topics},
            self._observed,
            claims,
            applier,
            settings.serves,
            self._queue.add_after,
            settings.class_name,
        )
        self._kinds = (MARKET_STREAM, *topics)
        """Kinds that are defined by CRDs, which may be deleted. Each has watches of its own."""
        self._watches = [
            *self._watching(login, settings.namespaces, DEPLOYMENT, POD),
            *self._watching(login, settings.namespaces, MARKET_STREAM),
            *(watches for kind in topics for watches in self._watching(login, topics[kind], kind)),
        ]
        cluster = Cluster(self._api, self._observed, claims, applier)
        self._reconciler = Reconciler(
            settings,
            cluster,
            Platform(
                Connections(self._api, settings),
                self._probers,
                StrimziTopics(settings, cluster) if topics else ExternalTopics(settings, self._probers),
                self._freshness,
            ),
            Feedback(
                Reporter(self._api, self._observed, self._recorder, settings.identity),
                self._queue.add_after,
                partial(self._informer.stream_event, True),
            ),
        )
        self._knows_kinds = False
        self._synced_at = time.monotonic()

    def _may_write(self) -> bool:
        """Return True while this process holds the lease; the API client calls this just before every write."""
        return self._election.holds()

    def _watching(self, login: Configuration, namespaces: tuple[str, ...] | None, *kinds: Kind) -> Iterator[Watches]:
        """Yield separate watches for each namespace, so that a forbidden one does not end the watches of another."""
        known = partial(self._wait_for, tuple(kind for kind in kinds if kind in self._kinds))
        for each in [None] if namespaces is None else [(namespace,) for namespace in dict.fromkeys(namespaces)]:
            yield Watches(self._informer, login, each, kinds, known)

    async def run(self, health: Health) -> None:
        """Watch objects until cancelled, and reconcile while this process holds the lease. Raises LeaseLostError."""
        health.add("kubernetes", self._problem)
        metrics.QUEUE_DEPTH.set_function(lambda: len(self._queue))
        metrics.LEADER.set_function(self._election.holds)
        background: list[asyncio.Task[None]] = []
        try:
            await self._wait_for(self._kinds)
            self._knows_kinds = True
            background.append(asyncio.create_task(self._recorder.run(), name="events"))
            background += [
                asyncio.create_task(watches.run(), name=f"watches of {watches}") for watches in self._watches
            ]
            for task in background:
                health.watch(task.get_name(), task)
            await self._election.run(self._lead)
        finally:
            for task in background:
                task.cancel()
            await asyncio.gather(*background, return_exceptions=True)
            await self._api.close()

    async def _wait_for(self, kinds: tuple[Kind, ...]) -> None:
        """Wait until the API server serves all these kinds."""
        for delay in delays(0.5, 10.0):
            try:
                missing = [kind for kind in kinds if not await self._api.knows(kind)]
            except ApiError as error:
                log.warning("discovery of kinds failed, will retry", error=str(error), retry_s=round(delay, 1))
            else:
                if not missing:
                    return
                names = ", ".join(f"{kind.plural}.{kind.group}" for kind in missing)
                log.warning("kinds not served by the API server yet, will retry", kinds=names, retry_s=round(delay, 1))
            await asyncio.sleep(delay)

    async def _lead(self) -> None:
        self._synced_at = time.monotonic()
        log.info("reconciling started", namespaces=self._settings.namespaces or "all")
        async with self._probers, asyncio.TaskGroup() as tasks:
            await self._first_sync()
            tasks.create_task(self._resync(), name="resync")
            tasks.create_task(self._freshness.run(), name="freshness")
            tasks.create_task(
                work(self._queue, self._reconcile, self._settings.workers, RECONCILE_LIMIT_S),
                name="work",
            )

    async def _first_sync(self) -> None:
        for delay in delays(0.5, 10.0):
            try:
                await self._informer.first_sync()
                break
            except ApiError as error:
                log.warning("first sync failed, will retry", error=str(error), retry_s=round(delay, 1))
            await asyncio.sleep(delay)
        self._synced_at = time.monotonic()
        self._reconciler.rollout.begin()
        self._add_all()

    async def _resync(self) -> None:
        """Resync regularly: it finds every change that the watches have missed."""
        while True:
            await asyncio.sleep(self._settings.resync_s)
            try:
                await self._informer.resync()
                self._synced_at = time.monotonic()
            except ApiError as error:
                log.warning("resync failed, will retry", error=str(error), retry_s=self._settings.resync_s)
            self._add_all()

    async def _reconcile(self, key: StreamKey) -> None:
        """Reconcile a MarketStream, unless its namespace cannot be listed.

        Without the list of its Deployments, the reconcile would create others.
        """
        if self._informer.sees(key.namespace):
            await self._reconciler.reconcile(key)

    def _add_all(self) -> None:
        for key in self._observed.streams:
            self._queue.add(key)

    def _problem(self) -> str | None:
        if not self._knows_kinds:
            kinds = " and ".join(kind.name for kind in self._kinds)
            return f"the API server has not answered yet, or does not serve {kinds}"
        ago = time.monotonic() - self._synced_at
        if self._election.holds() and ago > RESYNCS_MISSED * self._settings.resync_s:
            return f"no resync has succeeded for {ago:.0f} s"
        return None


@contextlib.asynccontextmanager
async def _served(settings: OperatorSettings) -> AsyncIterator[Health]:
    health = Health()
    async with serving(health_app(health), settings.http_host, settings.http_port) as port:
        log.info("health and metrics served", port=port)
        yield health


async def run(settings: OperatorSettings, stop: asyncio.Event, kubeconfig: Path | None, context: str | None) -> None:
    """Run the operator until `stop` is set. Raises LoginError, LeaseLostError."""
    login = await configuration(kubeconfig, context)
    async with _served(settings) as health:
        await run_until(stop, Operator(settings, login).run(health))
