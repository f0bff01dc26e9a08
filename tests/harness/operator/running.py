"""The operator as a separate process, as in a pod, and one namespace of its cluster."""

import asyncio
import json
import os
import signal
import sys
from collections.abc import Awaitable, Callable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypeVar

import httpx
from marketstream.local.loopback import free_port

from tests.harness.needs import PROJECT
from tests.harness.operator.api import Api
from tests.harness.operator.kubectl import KubectlError

CRD = PROJECT / "charts/marketstream/files/crd.yaml"
STREAMS = "/apis/marketstream.io/v1alpha1/namespaces/{}/marketstreams"
DEPLOYMENTS = "/apis/apps/v1/namespaces/{}/deployments"
PODS = "/api/v1/namespaces/{}/pods"
MERGE = "application/merge-patch+json"
LIMIT_S = 60.0
"""Time limit of a test's wait, in seconds: three times the longest delay.

A resync finds a changed Secret after 16 s, and a Kafka that did not answer is queried again after 15 s.
"""

T = TypeVar("T")


class RunningOperator:
    """An operator process, started by `async with`. `environment` holds its settings. It logs JSON into `directory`."""

    def __init__(self, directory: Path, kubeconfig: Path, namespace: str, **environment: str) -> None:
        self._log = directory / f"operator-{free_port()}.log"
        self.port = free_port()
        self._command = [sys.executable, "-m", "marketstream_operator", "run", "--kubeconfig", str(kubeconfig)]
        self._environment = {
            **os.environ,
            "POD_NAMESPACE": namespace,
            "HTTP_HOST": "127.0.0.1",
            "HTTP_PORT": str(self.port),
            "LOG_FORMAT": "json",
            "SERVICES_IMAGE": "marketstream/services:test",
            **environment,
        }
        self.process: asyncio.subprocess.Process | None = None
        self._began = 0

    async def start(self) -> None:
        with self._log.open("ab") as log:
            self._began = log.tell()
            self.process = await asyncio.create_subprocess_exec(
                *self._command, env=self._environment, stderr=log, stdout=log
            )

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.end(signal.SIGKILL)
        if error is not None:
            print(f"\n{self._log}:\n" + "\n".join(self._log.read_text().splitlines()[-40:]))

    @property
    def pid(self) -> int:
        assert self.process is not None
        return self.process.pid

    def send(self, number: int) -> None:
        os.kill(self.pid, number)

    async def end(self, number: int = signal.SIGTERM, limit: float = 15.0) -> int:
        """Send the signal, wait for the exit, and return the exit code."""
        assert self.process is not None
        if self.process.returncode is None:
            self.process.send_signal(number)
        return await asyncio.wait_for(self.process.wait(), limit)

    def log(self) -> list[dict[str, Any]]:
        """Return the lines logged since the last start. A line that is not JSON becomes an entry with that `event`."""
        lines = []
        for line in self._log.read_bytes()[self._began :].decode(errors="replace").splitlines():
            try:
                lines.append(json.loads(line))
            except json.JSONDecodeError:
                lines.append({"event": line})
        return lines

    async def leading(self, limit: float = 30.0) -> None:
        """Wait until the operator leads and reconciles."""
        await self.says("reconciling started", limit)

    async def says(self, text: str, limit: float = 30.0) -> None:
        """Wait until the operator has logged an event with this text since its last start."""
        await until(lambda: self._has_logged(text), limit)

    async def _has_logged(self, text: str) -> bool:
        assert self.process is not None
        assert self.process.returncode is None, "the operator has exited"
        return any(text in str(line.get("event")) for line in self.log())

    async def metric(self, name: str) -> float:
        """Return the value of a metric, summed over its labels."""
        async with httpx.AsyncClient(timeout=30) as client:
            text = (await client.get(f"http://127.0.0.1:{self.port}/metrics")).text
        return sum(float(line.split()[-1]) for line in text.splitlines() if line.split("{")[0].split(" ")[0] == name)


async def until(condition: Callable[[], Awaitable[T]], limit: float = LIMIT_S) -> T:
    """Wait until the condition returns a true value, and return that value.

    Raises AssertionError with the last value or error after `limit` seconds.
    """
    last: object = None
    try:
        async with asyncio.timeout(limit):
            while True:
                try:
                    if found := await condition():
                        return found
                    last = found
                except (httpx.HTTPError, KubectlError) as error:
                    last = error
                await asyncio.sleep(0.05)
    except TimeoutError:
        raise AssertionError(f"not true within {limit:g} s; last value: {last!r}") from None


class Cluster:
    """One namespace of the cluster."""

    def __init__(self, api: Api, namespace: str) -> None:
        self.api = api
        self.namespace = namespace

    async def connect(self, kafka: str, database: str, redis: str, name: str = "marketstream-connection") -> None:
        """Create the connection Secret."""
        data = {"KAFKA_BOOTSTRAP": kafka, "DATABASE_URL": database, "REDIS_URL": redis}
        await self.put("/api/v1/namespaces/{}/secrets", {"metadata": {"name": name}, "stringData": data})

    async def put(self, path: str, body: Mapping[str, Any]) -> Any:
        return await self.api.request("POST", path.format(self.namespace), body)

    async def get(self, path: str, name: str = "") -> Any:
        return await self.api.request("GET", path.format(self.namespace) + (f"/{name}" if name else ""))

    async def patch(self, path: str, name: str, body: Mapping[str, Any]) -> Any:
        full = f"{path.format(self.namespace)}/{name}"
        return await self.api.request("PATCH", full, body, content_type=MERGE)

    async def delete(self, path: str, name: str) -> None:
        await self.api.request("DELETE", f"{path.format(self.namespace)}/{name}")

    async def stream(self, name: str, symbols: Sequence[str], exchange: str = "simulator", **spec: Any) -> Any:
        """Create a MarketStream."""
        body = {
            "apiVersion": "marketstream.io/v1alpha1", "kind": "MarketStream", "metadata": {"name": name},
            "spec": {"exchange": exchange, "symbols": list(symbols), **spec},
        }  # fmt: skip
        return await self.put(STREAMS, body)

    async def change(self, name: str, **spec: Any) -> Any:
        """Change fields of a MarketStream's spec."""
        return await self.patch(STREAMS, name, {"spec": spec})

    async def deployments(self, stream: str = "") -> dict[str, Any]:
        """Return the Deployments of one stream, or of all, by name."""
        found = await self.get(DEPLOYMENTS)
        return {
            each["metadata"]["name"]: each
            for each in found["items"]
            if not stream or each["metadata"]["labels"].get("marketstream.io/stream") == stream
        }

    async def has_deployments(self, stream: str, count: int, limit: float = LIMIT_S) -> dict[str, Any]:
        """Wait until the stream has `count` Deployments, and return them."""

        async def there() -> dict[str, Any] | None:
            found = await self.deployments(stream)
            return found if len(found) == count else None

        return await until(there, limit) if count else {}

    async def condition(self, stream: str, kind: str) -> tuple[str, str, str]:
        """Return status, reason and message of a condition; empty texts while it does not exist."""
        status = (await self.get(STREAMS, stream)).get("status") or {}
        for each in status.get("conditions") or ():
            if each["type"] == kind:
                return each["status"], each["reason"], each["message"]
        return "", "", ""

    async def says(
        self, stream: str, kind: str, status: str, reason: str = "", limit: float = LIMIT_S, *, words: str = ""
    ) -> str:
        """Wait until a condition has this status and reason, and these words in its message. Return the message."""
        found = "", "", ""

        async def it_does() -> str | None:
            nonlocal found
            found = await self.condition(stream, kind)
            said = found[0] == status and reason in ("", found[1]) and words in found[2]
            return (found[2] or "-") if said else None

        try:
            return await until(it_does, limit)
        except AssertionError:
            raise AssertionError(f"{stream}: {kind} is {found}, expected {status} {reason} {words}") from None
