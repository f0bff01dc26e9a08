"""A real Kubernetes API for tests: etcd and kube-apiserver on loopback, and a controller manager where needed."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from types import TracebackType
from typing import Self

import httpx
from marketstream.local.errors import ServerStartError

from tests.harness.needs import unavailable
from tests.harness.operator.api import ADMIN, REQUEST_LIMIT, Api, path_of
from tests.harness.operator.assets import Assets
from tests.harness.operator.servers import Etcd, KubeApiServer, KubeControllerManager, trust
from tests.harness.servers import pause, resume

_START_TRIES = 3


class ApiServer(Api):
    """An API server and its store. All servers stop when the context is left.

    The servers' data and logs are in `directory`, which the caller must remove.
    """

    def __init__(self, directory: Path, assets: Assets) -> None:
        super().__init__(directory, assets.kubectl)
        self._assets = assets
        self._stack = AsyncExitStack()
        self._etcd = Etcd(directory, assets.etcd)
        self._server = KubeApiServer(directory, assets.kube_apiserver, self._etcd, self.token(ADMIN))

    async def __aenter__(self) -> Self:
        self.directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        async with AsyncExitStack() as stack:
            for server in (self._etcd, self._server):
                stack.push_async_callback(server.kill)
                await _start(server)
            self.client = await stack.enter_async_context(
                httpx.AsyncClient(
                    base_url=self.url, verify=trust(self.certificate), timeout=REQUEST_LIMIT, trust_env=False
                )
            )
            self._stack = stack.pop_all()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._stack.aclose()

    @property
    def url(self) -> str:
        return self._server.address

    @property
    def certificate(self) -> Path:
        return self._server.certificate

    @property
    def key(self) -> Path:
        """The private key of the certificate, for a proxy that takes the server's place."""
        return self._server.key

    async def stop_server(self) -> None:
        """Kill the API server; etcd keeps the data. Connections of clients break, and new ones are refused."""
        await self._server.kill()

    async def start_server(self) -> None:
        """Start the API server again on the same port, if it does not run.

        Return when it serves custom resources, too, which is some time after it reports that it is ready.
        """
        await self._server.start()
        for definition in await self.definitions():
            await self.serves(path_of(definition))

    def pause(self) -> None:
        """Halt the API server (SIGSTOP): connections stay open, the kernel accepts new ones, and none is answered."""
        pause(self._server)

    def resume(self) -> None:
        """Resume a paused API server."""
        resume(self._server)

    async def restore(self) -> None:
        """Make the API server serve again, whatever a test has done to it."""
        self.resume()
        await self.start_server()

    @asynccontextmanager
    async def controller_manager(self, *controllers: str) -> AsyncIterator[None]:
        """Run a kube-controller-manager with these controllers, such as `garbage-collector-controller`.

        The garbage collector discovers new kinds every 30 seconds, so apply the CRDs before. Without the program, skip
        the test.
        """
        program = self._assets.kube_controller_manager
        if program is None:
            unavailable(self._assets.no_controllers)
        manager = KubeControllerManager(self.directory, program, self.kubeconfig(), controllers)
        try:
            await _start(manager)
            yield
        finally:
            await manager.kill()


async def _start(server: Etcd | KubeApiServer | KubeControllerManager) -> None:
    """Start a server for the first time. Retry on other ports if another process has taken one meanwhile."""
    for tries_left in reversed(range(_START_TRIES)):
        try:
            async with asyncio.timeout(2 * server.start_limit):
                await server.start()
        except ServerStartError as error:
            if not tries_left or "address already in use" not in str(error):
                raise
            server.choose_ports()
        else:
            return
