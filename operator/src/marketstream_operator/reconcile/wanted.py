"""The spec that a reconcile works from: the present one, or the last good one while the present one cannot work."""

import contextlib
import time
from typing import Final, NamedTuple

from marketstream_operator.cluster.projections import MarketStream
from marketstream_operator.names import StreamKey
from marketstream_operator.plan.connection import Connection
from marketstream_operator.reconcile.connections import Connections
from marketstream_operator.resource.errors import AwaitedError, SpecError
from marketstream_operator.resource.spec import Spec
from marketstream_operator.resource.validation import read_spec
from marketstream_operator.settings import OperatorSettings

AWAITED_S: Final = 600.0
"""Seconds after which an object that another operator has not created counts as an error of the spec."""


class Wanted(NamedTuple):
    """A spec that can work, and the connection that belongs to it."""

    spec: Spec
    connection: Connection


class WantedSpecs:
    """Reads the specs of MarketStreams and remembers the last good one of each."""

    def __init__(self, settings: OperatorSettings, connections: Connections) -> None:
        self._settings = settings
        self._connections = connections
        self._good: dict[StreamKey, tuple[str, Wanted]] = {}
        """The uid and the last good spec of each MarketStream."""
        self._awaiting: dict[StreamKey, float] = {}
        """The time at which each MarketStream was first found to wait for an object of another operator."""

    def forget(self, key: StreamKey) -> None:
        """Forget a MarketStream that was deleted."""
        self._good.pop(key, None)
        self._awaiting.pop(key, None)

    async def of(self, stream: MarketStream) -> tuple[Wanted | None, SpecError | None]:
        """Return the spec to work from and the error of the present one.

        Without an error the spec is the present one. With an error it is the last good one, or None when this process
        knows no good one. An AwaitedError is one of the connection: the present spec then works with the last good
        connection. Raises ApiError.
        """
        namespace = stream.key.namespace
        spec: Spec | None = None
        try:
            spec = read_spec(stream.spec)
            _check_served(namespace, self._settings)
            wanted = Wanted(spec, await self._connections.of(namespace, spec))
        except SpecError as found:
            error = self._limited(stream.key, found)
            uid, good = self._good.get(stream.key, ("", None))
            if good is None or uid != stream.uid:
                return None, error
            if isinstance(error, AwaitedError) and spec is not None and _same_secret(spec, good.spec):
                return Wanted(spec, good.connection), error
            # A Secret that is missing does not change how running pods are connected.
            with contextlib.suppress(SpecError):
                good = Wanted(good.spec, await self._connections.of(namespace, good.spec))
            return good, error
        self._good[stream.key] = stream.uid, wanted
        self._awaiting.pop(stream.key, None)
        return wanted, None

    def _limited(self, key: StreamKey, error: SpecError) -> SpecError:
        """Return the error. One that only asks to wait becomes a plain SpecError after AWAITED_S seconds."""
        if not isinstance(error, AwaitedError):
            self._awaiting.pop(key, None)
            return error
        now = time.monotonic()
        is_over = now - self._awaiting.setdefault(key, now) >= AWAITED_S
        return SpecError(error.field, error.message) if is_over else error


def _same_secret(one: Spec, other: Spec) -> bool:
    return one.connection_secret_ref == other.connection_secret_ref


def _check_served(namespace: str, settings: OperatorSettings) -> None:
    """Raise SpecError for a namespace in which this operator cannot have topics created."""
    if not settings.serves(namespace):
        raise SpecError(
            "metadata.namespace",
            f"got namespace {namespace}, but Strimzi creates topics only in namespace {settings.pod_namespace}: apply "
            "the MarketStream there",
        )
