"""kubectl, helm, and ports of the cluster on loopback."""

import asyncio
import contextlib
import json
import os
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any, Final, TypeVar

from marketstream.local.loopback import free_port

T = TypeVar("T")

PAUSE_S: Final = 1.0
"""Seconds between two attempts, each of which starts a process."""


class ProgramError(Exception):
    """A program has failed. The message has its command and its output."""


async def program(
    *command: str, stdin: str | None = None, limit: float = 60.0, environment: Mapping[str, str] | None = None
) -> str:
    """Run a program and return its output. Raises ProgramError if it fails or takes longer than `limit` seconds."""
    process = await asyncio.create_subprocess_exec(
        *command,
        env={**os.environ, **(environment or {})},
        stdin=asyncio.subprocess.DEVNULL if stdin is None else asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    shown = " ".join(command)[:300]
    try:
        async with asyncio.timeout(limit):
            out, err = await process.communicate(None if stdin is None else stdin.encode())
    except TimeoutError:
        raise ProgramError(f"{shown}: not finished within {limit:g} s") from None
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    if process.returncode:
        said = "\n".join((err or out).decode(errors="replace").strip().splitlines()[-30:])
        raise ProgramError(f"{shown}: exit code {process.returncode}\n{said}")
    return out.decode()


async def until(condition: Callable[[], Awaitable[T]], limit: float, what: str = "") -> T:
    """Wait for a true value of the condition, and return it. Fails after `limit` seconds with the last value."""
    began = time.monotonic()
    last: object = None
    while True:
        try:
            if found := await condition():
                return found
            last = found
        except (ProgramError, AssertionError, OSError) as error:
            last = error
        assert time.monotonic() - began < limit, f"{what or 'nothing'} within {limit:g} s; last: {last}"
        await asyncio.sleep(PAUSE_S)


class Kube:
    """kubectl in one namespace."""

    def __init__(self, namespace: str) -> None:
        self.namespace = namespace

    async def run(self, *arguments: str, stdin: str | None = None, limit: float = 60.0) -> str:
        """Run kubectl and return its output."""
        return await program("kubectl", "--namespace", self.namespace, *arguments, stdin=stdin, limit=limit)

    async def apply(self, *objects: Mapping[str, Any]) -> None:
        """Apply objects."""
        await self.run("apply", "-f", "-", stdin="---\n".join(json.dumps(each) + "\n" for each in objects))

    async def get(self, kind: str, name: str) -> Any:
        """Return an object. Raises ProgramError if it does not exist."""
        return json.loads(await self.run("get", kind, name, "-o", "json"))

    async def list(self, kind: str, selector: str = "") -> list[Any]:
        """Return the objects with these labels, including those that are being deleted."""
        found: list[Any] = json.loads(await self.run("get", kind, "-l", selector, "-o", "json"))["items"]
        return found

    async def patch(self, kind: str, name: str, change: Mapping[str, Any], *more: str) -> None:
        """Merge a change into an object."""
        await self.run("patch", kind, name, "--type", "merge", "--patch", json.dumps(change), *more)

    async def pods(self, selector: str) -> dict[str, Any]:
        """Return the pods by uid, except those that are being deleted."""
        found = await self.list("pods", selector)
        return {pod["metadata"]["uid"]: pod for pod in found if "deletionTimestamp" not in pod["metadata"]}

    async def condition(self, kind: str, name: str, of: str) -> dict[str, Any]:
        """Return a condition of an object; an empty one before it exists."""
        said = (await self.get(kind, name)).get("status", {}).get("conditions", [])
        return next((each for each in said if each["type"] == of), {})

    async def says(self, kind: str, name: str, of: str, status: str, reason: str = "", limit: float = 60.0) -> None:
        """Wait until a condition has this status and, if given, this reason."""

        async def it_does() -> bool:
            found = await self.condition(kind, name, of)
            assert (found.get("status"), reason and found.get("reason")) == (status, reason), found
            return True

        await until(it_does, limit, f"{kind} {name} has no {of}={status} {reason}")


def is_ready(pod: Any) -> bool:
    """Return True if the pod is ready."""
    conditions = pod.get("status", {}).get("conditions", [])
    return any(each["type"] == "Ready" and each["status"] == "True" for each in conditions)


class Forward:
    """A port of a Service on loopback, by way of the pod behind it. Connections end with their pod."""

    def __init__(self, kube: Kube, target: str, port: int) -> None:
        self._command = ("kubectl", "--namespace", kube.namespace, "port-forward", target)
        self._to = port
        self.port = free_port()
        self._process: asyncio.subprocess.Process | None = None

    def renew(self) -> None:
        """Forward to another pod, because the last one is gone."""
        if self._process is not None and self._process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                self._process.kill()

    async def keep(self) -> None:
        """Run kubectl, and start it again whenever it exits."""
        try:
            while True:
                self._process = await asyncio.create_subprocess_exec(
                    *self._command, f"{self.port}:{self._to}",
                    stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.DEVNULL,
                )  # fmt: skip
                await self._process.wait()
                await asyncio.sleep(0.5)
        finally:
            self.renew()


@asynccontextmanager
async def forwarded(kube: Kube, target: str, port: int) -> AsyncIterator[Forward]:
    """Forward a port of a Service to loopback."""
    forward = Forward(kube, target, port)
    keeping = asyncio.create_task(forward.keep())
    try:
        yield forward
    finally:
        keeping.cancel()
        await asyncio.wait([keeping])


async def helm(*arguments: str, limit: float = 300.0) -> str:
    """Run helm and return its output."""
    return await program("helm", *arguments, limit=limit)


async def make_namespace(name: str, labels: Mapping[str, str]) -> Kube:
    """Create an empty namespace that allows only pods of the restricted standard, after deleting an old one."""
    await remove_namespaces([name])
    kube = Kube(name)
    restricted = {"pod-security.kubernetes.io/enforce": "restricted", "pod-security.kubernetes.io/warn": "restricted"}
    await kube.apply(
        {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": {**restricted, **labels}}}
    )
    return kube


async def remove_namespaces(names: Sequence[str], limit: float = 120.0) -> float:
    """Delete namespaces, wait until they are gone, and return the seconds that this took."""
    began = time.monotonic()
    await program(
        "kubectl", "delete", "namespace", *names, "--ignore-not-found", "--wait", f"--timeout={limit:g}s",
        limit=limit + 10,
    )  # fmt: skip
    return time.monotonic() - began
