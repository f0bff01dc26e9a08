"""Passes requests on to the API server, and its answers back as they come."""

import asyncio
import json
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import NoReturn

import aiohttp
from aiohttp import web
from yarl import URL

from tests.harness.operator.faults import status_object
from tests.harness.operator.requests import Request

# Headers of one connection, and those that the next hop makes for itself.
_HOP = frozenset({"connection", "keep-alive", "transfer-encoding", "upgrade", "te", "trailer", "host"})

_END_LIMIT = 10.0  # seconds for a task to be ended with its connection

Hold = Callable[[Request], Awaitable[None]]
"""Awaited before anything is passed back to the client."""


@dataclass(slots=True, eq=False)
class _Exchange:
    request: Request
    upstream: aiohttp.ClientResponse
    expired: bool = False


class Forwarding:
    """The way to the API server and back, with the watches that are open."""

    def __init__(self, client: aiohttp.ClientSession, server: str, hold: Hold) -> None:
        self._client = client
        self._server = server
        self._hold = hold
        self._watches: list[_Exchange] = []

    async def __call__(self, incoming: web.BaseRequest, request: Request, *, answer_lost: bool) -> web.StreamResponse:
        """Ask the server and pass its answer on. When the server fails, so does the client's connection."""
        headers = [(name, value) for name, value in incoming.headers.items() if name.lower() not in _HOP]
        url = URL(self._server + incoming.raw_path, encoded=True)
        try:
            async with self._client.request(
                request.method, url, headers=headers, data=request.body or None, allow_redirects=False
            ) as upstream:
                request.status = upstream.status
                if answer_lost:
                    await upstream.read()
                    await disconnect(incoming)
                with self._open(request, upstream) as exchange:
                    return await self._back(incoming, exchange)
        except (aiohttp.ClientError, OSError):  # of the server's side, or of the client's
            await disconnect(incoming)

    def expire(self, match: Callable[[Request], bool]) -> int:
        """End the open watches that match as the server ends one whose version is too old; says how many there were."""
        watches = [watch for watch in self._watches if match(watch.request) and not watch.expired]
        for watch in watches:
            watch.expired = True
            watch.upstream.close()  # wakes its task
        return len(watches)

    @contextmanager
    def _open(self, request: Request, upstream: aiohttp.ClientResponse) -> Iterator[_Exchange]:
        exchange = _Exchange(request, upstream)
        if request.watch:
            self._watches.append(exchange)
        try:
            yield exchange
        finally:
            if request.watch:
                self._watches.remove(exchange)

    async def _back(self, incoming: web.BaseRequest, exchange: _Exchange) -> web.StreamResponse:
        headers = [(name, value) for name, value in exchange.upstream.headers.items() if name.lower() not in _HOP]
        response = web.StreamResponse(status=exchange.upstream.status, reason=exchange.upstream.reason)
        response.headers.extend(headers)
        await self._hold(exchange.request)
        await response.prepare(incoming)
        rest = b""
        try:
            async for chunk in exchange.upstream.content.iter_any():
                await self._hold(exchange.request)
                # A watch is passed on by whole lines, so that an event can be put between them.
                whole, line_end, rest = (
                    (rest + chunk).rpartition(b"\n") if exchange.request.watch else (chunk, b"", b"")
                )
                if whole:
                    await response.write(whole + line_end)
            await response.write(rest)
        except (aiohttp.ClientError, OSError):
            if not exchange.expired:
                raise
        if exchange.expired:
            event = {"type": "ERROR", "object": status_object(410)}
            await response.write(json.dumps(event).encode() + b"\n")
        await response.write_eof()
        return response


async def disconnect(incoming: web.BaseRequest) -> NoReturn:
    """Break the client's connection without an answer; this ends the task that handles its request."""
    if incoming.transport is not None:
        incoming.transport.abort()
    await asyncio.sleep(_END_LIMIT)
    raise AssertionError("a request outlived its connection")
