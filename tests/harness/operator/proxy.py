"""A reverse proxy in front of the API server that records requests and injects faults."""

import asyncio
import ssl
import time
from collections.abc import Callable
from contextlib import AsyncExitStack
from pathlib import Path
from types import TracebackType
from typing import Self, TypeVar

import aiohttp
from aiohttp import web
from marketstream.local.loopback import HOST

from tests.harness.operator.api import ADMIN
from tests.harness.operator.apiserver import ApiServer
from tests.harness.operator.faults import Answer, Delay, Fault, Freeze, Loss, Match, status_object
from tests.harness.operator.forwarding import Forwarding
from tests.harness.operator.requests import Request
from tests.harness.operator.servers import trust

_POLL = 0.01

_Fault = TypeVar("_Fault", bound=Fault)


class Proxy:
    """The API at another address, with the same certificate and tokens. HTTP/1.1 only, no exec, no port-forward.

    A fault is injected into requests of a method, with a path in which a regular expression is found: `count` times, or
    until it is lifted. When several faults of one kind match, the oldest is injected.
    """

    def __init__(self, apiserver: ApiServer) -> None:
        self.requests: list[Request] = []
        self._apiserver = apiserver
        self._faults: list[Fault] = []
        self._stack = AsyncExitStack()

    async def __aenter__(self) -> Self:
        async with AsyncExitStack() as stack:
            # One connection for each request, so that none is found dead after a restart of the server.
            connector = aiohttp.TCPConnector(ssl=trust(self._apiserver.certificate), force_close=True, limit=0)
            timeout = aiohttp.ClientTimeout(total=None, sock_connect=10)
            client = aiohttp.ClientSession(connector=connector, timeout=timeout, auto_decompress=False)
            self._forward = Forwarding(await stack.enter_async_context(client), self._apiserver.url, self._hold)
            # With cancellation, the request to the server ends when its client disconnects.
            self._server = web.Server(self._handle, handler_cancellation=True)
            self._runner = web.ServerRunner(self._server, access_log=None, shutdown_timeout=1.0)
            await self._runner.setup()
            stack.push_async_callback(self._runner.cleanup)
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(self._apiserver.certificate, self._apiserver.key)
            await web.TCPSite(self._runner, HOST, 0, ssl_context=context).start()
            self._stack = stack.pop_all()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.cut()
        self.heal()
        await self._stack.aclose()

    @property
    def url(self) -> str:
        """The address, https://host:port."""
        _, port = self._runner.addresses[0][:2]
        return f"https://{HOST}:{port}"

    def kubeconfig(self, user: str = ADMIN) -> Path:
        """Return a kubeconfig of the user for the address of the proxy."""
        return self._apiserver.kubeconfig_for(self.url, user)

    def mutating(self) -> list[Request]:
        """Return the requests that may have changed something since the last `requests.clear()`."""
        return [request for request in self.requests if request.mutating]

    async def seen(self, match: Callable[[Request], bool], count: int = 1, limit: float = 10.0) -> list[Request]:
        """Wait until `count` requests match, and return them. Raises TimeoutError with the latest requests."""
        try:
            async with asyncio.timeout(limit):
                while len(found := [request for request in self.requests if match(request)]) < count:  # noqa: ASYNC110  no event signals a status
                    await asyncio.sleep(_POLL)
        except TimeoutError:
            requests = "\n".join(str(request) for request in self.requests[-40:])
            raise TimeoutError(
                f"not seen {count} times within {limit:g} s: {match}. Last requests:\n{requests}"
            ) from None
        return found

    def answer(
        self,
        status: int,
        method: str | None = None,
        path: str = "",
        *,
        watch: bool | None = None,
        count: int | None = None,
        reason: str | None = None,
        retry_after: int | None = None,
    ) -> Answer:
        """Answer matching requests with a status, without forwarding them to the API server."""
        match = Match(method, path, watch)
        return self._add(Answer(match, count, status=status, reason=reason, retry_after=retry_after))

    def delay(self, seconds: float, method: str | None = None, path: str = "", *, count: int | None = None) -> Delay:
        """Delay matching requests before they are forwarded."""
        return self._add(Delay(Match(method, path), count, seconds=seconds))

    def freeze(self, method: str | None = None, path: str = "", *, watch: bool | None = None) -> Freeze:
        """Hold the answers of matching requests, including the events of open watches, until the fault is lifted."""
        return self._add(Freeze(Match(method, path, watch)))

    def lose(self, method: str | None = None, path: str = "", *, count: int | None = None) -> Loss:
        """Forward matching requests, and break the connection instead of returning the answer."""
        return self._add(Loss(Match(method, path), count))

    def expire(self, path: str = "") -> int:
        """End the open watches of the path with an event of 410 Expired. Return their number."""
        return self._forward.expire(Match(path=path))

    def cut(self) -> int:
        """Break all connections of clients and return their number. New connections are accepted."""
        transports = [connection.transport for connection in self._server.connections]
        for transport in transports:
            if transport is not None:
                transport.abort()
        return len(transports)

    def heal(self) -> None:
        """Lift all faults."""
        for fault in self._faults:
            fault.lift()
        self._faults.clear()

    def _add(self, fault: _Fault) -> _Fault:
        self._faults.append(fault)
        return fault

    def _taken(self, kind: type[_Fault], request: Request) -> _Fault | None:
        """Return the fault of this kind to inject into the request, if any."""
        return next((fault for fault in self._faults if isinstance(fault, kind) and fault.takes(request)), None)

    async def _handle(self, incoming: web.BaseRequest) -> web.StreamResponse:
        request = await _recorded(incoming)
        self.requests.append(request)
        await self._hold(request)
        if delay := self._taken(Delay, request):
            await asyncio.sleep(delay.seconds)
        if answer := self._taken(Answer, request):
            request.status, request.by_fault = answer.status, True
            return _refusal(answer)
        lost = self._taken(Loss, request) is not None
        request.by_fault = lost
        return await self._forward(incoming, request, answer_lost=lost)

    async def _hold(self, request: Request) -> None:
        while freeze := self._taken(Freeze, request):
            await freeze.lifted.wait()


async def _recorded(incoming: web.BaseRequest) -> Request:
    return Request(
        at=time.monotonic(),
        method=incoming.method,
        path=incoming.path,
        query=dict(incoming.query),
        content_type=incoming.headers.get("Content-Type", ""),
        user_agent=incoming.headers.get("User-Agent", ""),
        body=await incoming.content.read(),  # of any size
    )


def _refusal(answer: Answer) -> web.Response:
    headers = {} if answer.retry_after is None else {"Retry-After": str(answer.retry_after)}
    body = status_object(answer.status, answer.reason, answer.retry_after)
    return web.json_response(body, status=answer.status, headers=headers)
