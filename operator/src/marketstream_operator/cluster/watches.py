"""What the operator reacts to. A table of contents: every change only says which MarketStream is to be looked at.

kopf brings the watches. It runs without its own posting of Events, its peering and its scanning, and has no handlers
that keep state in objects: timers, daemons and guaranteed handlers would add finalizers and annotations. It runs in a
thread and an event loop of its own: it takes over the signals of a main thread, and at its end cancels all tasks that
have begun after it.
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
"""Seconds for kopf to end."""

WELL_S: Final = 120.0
"""Seconds for which kopf must have run for its next end to count as its first."""

DELETED: Final = "DELETED"
"""The type of an event after which an object is no more; all others tell how it is."""


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
        """Watches until cancelled. When kopf ends it begins anew: an error that it takes for final may pass."""
        loop = asyncio.get_running_loop()
        pauses = delays(1.0, 30.0)
        while True:
            await self._known()  # kopf would take a kind that is not there yet for one that never will be
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
                "the watches have ended; they begin anew", kinds=str(self), error=repr(ended.result()),
                after_s=round(after_s), retry_s=round(pause_s, 1),
            )  # fmt: skip
            await asyncio.sleep(pause_s)

    def _thread(
        self, loop: asyncio.AbstractEventLoop, stop: threading.Event, ended: "asyncio.Future[BaseException | None]"
    ) -> None:
        failure: BaseException | None = None
        try:
            asyncio.run(self._watch(loop.call_soon_threadsafe, stop))
        except BaseException as error:  # noqa: BLE001  whatever ends the thread is told to the one who waits
            failure = error

        def end() -> None:
            if not ended.done():
                ended.set_result(failure)

        with contextlib.suppress(RuntimeError):  # that loop may have ended, too
            loop.call_soon_threadsafe(end)

    async def _watch(self, tell: Callable[..., Any], stop: threading.Event) -> None:
        try:
            await kopf.operator(
                registry=self._handlers(tell),
                settings=_settings(self._kinds),
                clusterwide=self._namespaces is None,
                namespaces=self._namespaces or (),
                standalone=True,
                stop_flag=stop,
            )
        finally:
            stop.set()  # a thread of kopf's waits for it

    def _handlers(self, tell: Callable[..., Any]) -> kopf.OperatorRegistry:
        """The handlers return nothing: kopf would write it into the status."""
        registry = kopf.OperatorRegistry()

        @kopf.on.login(registry=registry)
        async def log_in(**_: Any) -> kopf.ConnectionInfo:
            return await kopf_login(self._login)

        def watch(kind: Kind) -> None:
            @kopf.on.event(*kind[:3], registry=registry)
            async def changed(event: kopf.RawEvent, **_: Any) -> None:
                is_deleted, raw = event["type"] == DELETED, event["object"]
                if kind == MARKET_STREAM:
                    tell(self._informer.stream_event, is_deleted, stream_of(raw))
                elif not is_deleted and (child := child_of(kind, raw)):
                    tell(self._informer.child_event, kind, child)
                else:
                    meta = raw["metadata"]
                    tell(self._informer.child_lost, kind, meta["namespace"], meta["name"], meta["uid"])

        for kind in self._kinds:
            watch(kind)
        return registry


class _NoState(kopf.DiffBaseStorage):
    """kopf keeps no state in objects, and so need not copy each object to compare it with what it was before."""

    def build(self, **_: Any) -> kopf.BodyEssence:
        return kopf.BodyEssence()

    def fetch(self, **_: Any) -> None:
        return None

    def store(self, **_: Any) -> None:
        pass


def _settings(kinds: tuple[Kind, ...]) -> kopf.OperatorSettings:
    """kopf as a bringer of events, and nothing more."""
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
            continue  # they are the users' and carry no label of ours
        settings.watching.label_selectors[kind.group, kind.version, kind.plural] = names.SELECTOR
    return settings
