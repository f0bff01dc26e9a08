"""Forwarding of requests to the API server, and of its answers to the client, chunk by chunk."""

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

# Headers of one connection, and headers that the next hop sets itself.
_HOP = frozenset({"connection", "keep-alive", "transfer-encoding", "upgrade", "te", "trailer", "host"})

_END_LIMIT = 10.0  # seconds for a task to be cancelled with its connection

Hold = Callable[[Request], Awaitable[None]]
"""Awaited before each part of an answer is sent to the client."""


@dataclass(slots=True, eq=False)
class _Exchange:
    request: Request
    upstream: aiohttp.ClientResponse
    expired: bool = False


class Forwarding:
    """Forwards requests to the API server, and keeps the open watches."""

    def __init__(self, client: aiohttp.ClientSession, server: str, hold: Hold) -> None:
        self._client = client
        self._server = server
        self._hold = hold
        self._watches: list[_Exchange] = []

    async def __call__(self, incoming: web.BaseRequest, request: Request, *, answer_lost: bool) -> web.StreamResponse:
        """Forward the request and return the answer. When the server's connection breaks, break the client's."""
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
        except (aiohttp.ClientError, OSError):  # on either side
            await disconnect(incoming)

    def expire(self, match: Callable[[Request], bool]) -> int:
        """End the matching open watches with 410, as the server does for old versions. Return their number."""
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
                # A watch is forwarded in whole lines, so that an event can be inserted between them.
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
    """Break the client's connection without an answer, which cancels the task that handles the request."""
    if incoming.transport is not None:
        incoming.transport.abort()
    await asyncio.sleep(_END_LIMIT)
    raise AssertionError("a request outlived its connection")
