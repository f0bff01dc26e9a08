"""Watches of the kinds that the operator reacts to. An event only identifies a MarketStream to reconcile.

kopf provides the watches. Its posting of Events, its peering and its scanning are switched off. No handler keeps state
in objects: timers, daemons and guaranteed handlers would add finalizers and annotations. kopf runs in a thread with an
event loop of its own, because kopf takes over the signals of the main thread and, when it ends, cancels all tasks that
were started after it.
"""

import asyncio
import contextlib
import threading
import time
from collections.abc import Awaitable, Callable
from typing import Any, Final

import kopf
from kubernetes.aio.client.configuration import Configuration
from marketstream.backoff import delays
from marketstream.telemetry import logger

from marketstream_operator import names
from marketstream_operator.cluster.informer import Informer
from marketstream_operator.cluster.projections import child_of, stream_of
from marketstream_operator.kinds import MARKET_STREAM, Kind
from marketstream_operator.kube.api import CHUNK
from marketstream_operator.kube.login import kopf_login

log = logger(__name__)

STOP_S: Final = 3.0
"""Time limit for stopping kopf, in seconds."""

WELL_S: Final = 120.0
"""Seconds after which a run of kopf counts as healthy, so that the pause after it is a first pause again."""

DELETED: Final = "DELETED"
"""Type of the watch event for a deleted object; every other type reports an existing object."""


class Watches:
    """Watches that report every change to objects of `kinds` in `namespaces` (None: in all) to `informer`.

    `informer` is called in the event loop in which `run` runs. `known` waits until the API server serves all the kinds.
    """

    def __init__(
        self,
        informer: Informer,
        login: Configuration,
        namespaces: tuple[str, ...] | None,
        kinds: tuple[Kind, ...],
        known: Callable[[], Awaitable[None]],
    ) -> None:
        self._informer = informer
        self._login = login
        self._namespaces = namespaces
        self._kinds = kinds
        self._known = known

    def __str__(self) -> str:
        where = "" if self._namespaces is None else " in " + ", ".join(self._namespaces)
        return ", ".join(kind.plural for kind in self._kinds) + where

    async def run(self) -> None:
        """Watch until cancelled. When kopf ends, restart it: an error that is final for kopf may be temporary."""
        loop = asyncio.get_running_loop()
        pauses = delays(1.0, 30.0)
        while True:
            await self._known()  # kopf never watches a kind that is missing when kopf starts
            begun, stop = time.monotonic(), threading.Event()
            ended: asyncio.Future[BaseException | None] = loop.create_future()
            threading.Thread(target=self._thread, args=(loop, stop, ended), name="kopf", daemon=True).start()
            try:
                await asyncio.wait([ended])
            finally:
                stop.set()
                await asyncio.wait([ended], timeout=STOP_S)
            after_s = time.monotonic() - begun
            if after_s > WELL_S:
                pauses = delays(1.0, 30.0)
            pause_s = next(pauses)
            log.warning(
                "watches ended, will restart", kinds=str(self), error=repr(ended.result()),
                after_s=round(after_s), retry_s=round(pause_s, 1),
            )  # fmt: skip
            await asyncio.sleep(pause_s)

    def _thread(
        self, loop: asyncio.AbstractEventLoop, stop: threading.Event, ended: "asyncio.Future[BaseException | None]"
    ) -> None:
        failure: BaseException | None = None
        try:
            asyncio.run(self._watch(loop.call_soon_threadsafe, stop))
        except BaseException as error:  # noqa: BLE001  the waiting task gets every error
            failure = error

        def end() -> None:
            if not ended.done():
                ended.set_result(failure)

        with contextlib.suppress(RuntimeError):  # the waiting loop may be closed already
            loop.call_soon_threadsafe(end)

    async def _watch(self, report: Callable[..., Any], stop: threading.Event) -> None:
        try:
            await kopf.operator(
                registry=self._handlers(report),
                settings=_settings(self._kinds),
                clusterwide=self._namespaces is None,
                namespaces=self._namespaces or (),
                standalone=True,
                stop_flag=stop,
            )
        finally:
            stop.set()  # a thread of kopf waits for this

    def _handlers(self, report: Callable[..., Any]) -> kopf.OperatorRegistry:
        """Return the handlers. They return nothing, because kopf would write their results into the status."""
        registry = kopf.OperatorRegistry()

        @kopf.on.login(registry=registry)
        async def log_in(**_: Any) -> kopf.ConnectionInfo:
            return await kopf_login(self._login)

        def watch(kind: Kind) -> None:
            @kopf.on.event(*kind[:3], registry=registry)
            async def changed(event: kopf.RawEvent, **_: Any) -> None:
                is_deleted, raw = event["type"] == DELETED, event["object"]
                if kind == MARKET_STREAM:
                    report(self._informer.stream_event, is_deleted, stream_of(raw))
                elif not is_deleted and (child := child_of(kind, raw)):
                    report(self._informer.child_event, kind, child)
                else:
                    meta = raw["metadata"]
                    report(self._informer.child_lost, kind, meta["namespace"], meta["name"], meta["uid"])

        for kind in self._kinds:
            watch(kind)
        return registry


class _NoState(kopf.DiffBaseStorage):
    """A storage that stores nothing, so that kopf neither writes state into objects nor copies them for comparison."""

    def build(self, **_: Any) -> kopf.BodyEssence:
        return kopf.BodyEssence()

    def fetch(self, **_: Any) -> None:
        return None

    def store(self, **_: Any) -> None:
        pass


def _settings(kinds: tuple[Kind, ...]) -> kopf.OperatorSettings:
    """Return settings with which kopf only delivers watch events."""
    settings = kopf.OperatorSettings()
    settings.posting.enabled = False
    settings.scanning.disabled = True
    settings.peering.standalone = True
    settings.persistence.diffbase_storage = _NoState()
    settings.watching.chunk_size = CHUNK
    settings.watching.connect_timeout = 10.0
    settings.networking.request_timeout = 30.0
    settings.queueing.idle_timeout = 1.0
    for kind in kinds:
        if kind == MARKET_STREAM:
            continue  # users create them, without the operator's labels
        settings.watching.label_selectors[kind.group, kind.version, kind.plural] = names.SELECTOR
    return settings
