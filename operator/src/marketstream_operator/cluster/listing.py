"""Lists of everything that the operator serves, namespace by namespace."""

from collections.abc import Mapping
from typing import NamedTuple

from marketstream_operator import names
from marketstream_operator.cluster.projections import Child, MarketStream, child_of, stream_of
from marketstream_operator.kinds import MARKET_STREAM, Kind
from marketstream_operator.kube.api import FORBIDDEN, Api, ApiError

NamespacesByKind = Mapping[Kind, tuple[str, ...] | None]
"""The namespaces in which each kind is listed; None for all namespaces."""


class Listing(NamedTuple):
    """The projections of all listed objects, and the namespaces whose objects are unknown."""

    streams: list[MarketStream]
    children: dict[Kind, list[Child]]
    refusals: dict[str, ApiError]
    """The error of each namespace in which a list was forbidden. Nothing of such a namespace is listed."""


class Lister:
    """Lists the objects of the kinds of `where`, MarketStreams among them."""

    def __init__(self, api: Api, where: NamespacesByKind) -> None:
        self._api = api
        self._where: dict[Kind, tuple[str | None, ...]] = {kind: of or (None,) for kind, of in where.items()}
        self._child_kinds = [kind for kind in where if kind != MARKET_STREAM]

    async def list_all(self) -> Listing:
        """List all objects. Raises ApiError, also when no namespace may be listed for MarketStreams."""
        everything = Listing([], {kind: [] for kind in self._child_kinds}, {})
        for namespace in dict.fromkeys(place for places in self._where.values() for place in places):
            try:
                streams, children = await self._list(namespace)
            except ApiError as error:
                # Access was never granted, or was deleted with the namespace. An unknown kind gives 404.
                if error.status != FORBIDDEN or namespace is None:
                    raise
                everything.refusals[namespace] = error
                continue
            everything.streams.extend(streams)
            for kind, found in children.items():
                everything.children[kind].extend(found)
        if all(namespace in everything.refusals for namespace in self._where[MARKET_STREAM]):
            raise next(iter(everything.refusals.values()))
        return everything

    async def _list(self, namespace: str | None) -> tuple[list[MarketStream], dict[Kind, list[Child]]]:
        """List all kinds of one namespace: when one is forbidden, none is listed, so that none seems to be empty."""
        streams: list[MarketStream] = []
        children: dict[Kind, list[Child]] = {}
        if namespace in self._where[MARKET_STREAM]:
            streams = [stream_of(raw) async for raw in self._api.list(MARKET_STREAM, namespace)]
        for kind in self._child_kinds:
            if namespace in self._where[kind]:
                raws = self._api.list(kind, namespace, names.SELECTOR)
                children[kind] = [child async for raw in raws if (child := child_of(kind, raw))]
        return streams, children
