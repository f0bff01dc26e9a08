"""After any sequence of faults and edits, the cluster ends exactly as the MarketStreams want it."""

import asyncio
import os
import signal
import time
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from pathlib import Path
from random import Random
from typing import Any

import httpx
import pytest

from tests.harness.operator.apiserver import ApiServer
from tests.harness.operator.life import STRIMZI, Objects, Supervised, made, quiet
from tests.harness.operator.proxy import Proxy
from tests.harness.operator.running import DEPLOYMENTS, STREAMS, Cluster, until

pytestmark = pytest.mark.soak

MINUTES = float(os.environ.get("SOAK_MINUTES", "10"))
SETTLED_S = 180.0
"""Seconds after the last fault: for a lease to expire, for backoffs of up to a minute, and for a resync."""

NAMES = ("majors", "minors", "others")
ENVIRONMENT = {**STRIMZI, "RESYNC_S": "10", "DRAIN_LIMIT_S": "5"}


class People:
    """People who create, change and delete MarketStreams, and edit the operator's objects."""

    def __init__(self, cluster: Cluster, rng: Random) -> None:
        self.cluster, self.rng = cluster, rng

    def _spec(self, name: str) -> dict[str, Any]:
        of = [f"{name[:3].upper()}{letter}USDT" for letter in "ABCDEF"]
        symbols = self.rng.sample(of, self.rng.randint(1, 5))
        labels = {"team": self.rng.choice("xyz")}
        hours = self.rng.choice(["2h", "24h"])
        return {
            "symbols": symbols, "paused": self.rng.random() < 0.2, "producer": {"labels": labels},
            "retention": {"trades": hours, "onDelete": "delete"},
        }  # fmt: skip

    async def act(self) -> None:
        """Make one random change."""
        name, dice = self.rng.choice(NAMES), self.rng.random()
        there = {stream["metadata"]["name"] for stream in (await self.cluster.get(STREAMS))["items"]}
        if name not in there:
            await self.cluster.stream(name, **self._spec(name))
        elif dice < 0.5:
            await self.cluster.change(name, **self._spec(name))
        elif dice < 0.6:
            await self.cluster.delete(STREAMS, name)
        else:
            await self._meddle(dice)

    async def _meddle(self, dice: float) -> None:
        found = await self.cluster.deployments()
        if not found:
            return
        victim = self.rng.choice(sorted(found))
        if dice < 0.75:
            await self.cluster.delete(DEPLOYMENTS, victim)
        else:
            await self.cluster.patch(DEPLOYMENTS, victim, {"spec": {"replicas": 3, "progressDeadlineSeconds": 77}})


class Faults:
    """Faults of the operators and of their API server."""

    def __init__(self, server: ApiServer, proxy: Proxy, operators: list[Supervised], rng: Random) -> None:
        self.server, self.proxy, self.operators, self.rng = server, proxy, operators, rng
        self.count: dict[str, int] = {}

    async def happen(self) -> None:
        faults: list[Callable[[], Awaitable[None]]] = [
            self._kill, self._halt, self._restart, self._cut, self._expire, self._refuse, self._lose, self._stick,
        ]  # fmt: skip
        fault = self.rng.choice(faults)
        self.count[fault.__name__] = self.count.get(fault.__name__, 0) + 1
        await fault()

    def _signal(self, number: int) -> Supervised:
        operator = self.rng.choice(self.operators)
        if operator.process is not None and operator.process.returncode is None:
            operator.send(number)
        return operator

    async def _kill(self) -> None:
        self._signal(signal.SIGKILL)

    async def _halt(self) -> None:
        operator = self._signal(signal.SIGSTOP)
        await asyncio.sleep(self.rng.uniform(0.5, 20))
        if operator.process is not None and operator.process.returncode is None:
            operator.send(signal.SIGCONT)

    async def _restart(self) -> None:
        await self.server.stop_server()
        await asyncio.sleep(self.rng.choice([0.0, 5.0, 15.0]))
        await self.server.start_server()

    async def _cut(self) -> None:
        self.proxy.cut()

    async def _expire(self) -> None:
        self.proxy.expire()

    async def _refuse(self) -> None:
        status = self.rng.choice([409, 429, 500, 503])
        asked = 2 if status == 429 else None
        self.proxy.answer(status, self.rng.choice(["PATCH", "GET", None]), count=5, retry_after=asked)

    async def _lose(self) -> None:
        self.proxy.lose(self.rng.choice(["PATCH", "DELETE", "POST"]), count=3)

    async def _stick(self) -> None:
        with self.proxy.freeze(watch=True):
            await asyncio.sleep(self.rng.uniform(5, 20))


async def undisturbed(server: ApiServer, directory: Path, specs: dict[str, dict[str, Any]]) -> Objects:
    """Return the objects that an operator without faults creates for these specs."""
    cluster = Cluster(server, await server.namespace())
    await connect(cluster)
    async with Supervised(directory, server.kubeconfig(), cluster.namespace, **ENVIRONMENT) as operator:
        await operator.leading(60)
        for name, spec in specs.items():
            # A stream that is paused from the beginning has Deployments as well, without replicas.
            await cluster.stream(name, **spec)
        count = sum(3 * len(spec["symbols"]) for spec in specs.values())
        await until(lambda: _has(cluster, count), 60)
        return await made(cluster)


async def _has(cluster: Cluster, count: int) -> bool:
    return len(await made(cluster)) == count


async def connect(cluster: Cluster) -> None:
    await cluster.connect("127.0.0.1:1", "postgresql://nobody@127.0.0.1:1/none", "redis://127.0.0.1:1/0")


async def test_random_faults_end_in_what_is_wanted(
    apiserver: ApiServer, connected_to_nobody: Cluster, strimzi: None, proxy: Proxy, tmp_path: Path
) -> None:
    seed = int(os.environ.get("SEED", time.time_ns() % 1_000_000))
    print(f"\nSEED={seed}")
    rng, cluster = Random(seed), connected_to_nobody
    people = People(cluster, rng)
    async with AsyncExitStack() as stack:
        await stack.enter_async_context(apiserver.controller_manager("garbage-collector-controller"))
        operators = []
        for _ in range(2):
            operator = Supervised(tmp_path, proxy.kubeconfig(), cluster.namespace, **ENVIRONMENT)
            operators.append(await stack.enter_async_context(operator))
        for operator in operators:
            await stack.enter_async_context(operator.kept_running())
        faults = Faults(apiserver, proxy, operators, rng)
        end, edits = time.monotonic() + 60 * MINUTES, 0
        while time.monotonic() < end:
            happening = asyncio.create_task(faults.happen())
            for _ in range(rng.randint(1, 4)):
                await asyncio.sleep(rng.uniform(0, 2))
                edits += await _unless_away(people)
            await happening
        proxy.heal()
        await apiserver.restore()
        streams = (await cluster.get(STREAMS))["items"]  # an edit whose answer is lost may have been made
        specs = {stream["metadata"]["name"]: stream["spec"] for stream in streams}
        owners = {stream["metadata"]["uid"] for stream in streams}
        expected = await undisturbed(apiserver, tmp_path, specs)

        async def as_wanted() -> bool:
            return await made(cluster, owners=owners) == expected

        try:
            await until(as_wanted, SETTLED_S)
            await quiet(proxy, 2.5 * float(ENVIRONMENT["RESYNC_S"]), SETTLED_S)
            assert await as_wanted()
        except AssertionError:
            found = await made(cluster, owners=owners)
            raise AssertionError(_difference(found, expected)) from None
        left = len(await made(cluster)) - len(expected)
        print(f"{left} objects of streams that are gone wait for the garbage collector")
        print(f"{edits} edits, faults {faults.count}, exits {[operator.ends for operator in operators]}")
        ends = {code for operator in operators for code in operator.ends}
        assert ends <= {3, -signal.SIGKILL}


async def _unless_away(people: People) -> bool:
    """Ignore errors of an unavailable API server: people try something else later."""
    try:
        await people.act()
    except httpx.HTTPError:
        return False
    return True


def _difference(found: Objects, expected: Objects) -> str:
    lines = [f"- {name}" for name in expected if name not in found]
    lines += [f"+ {name}" for name in found if name not in expected]
    both = found.keys() & expected.keys()
    lines += [f"! {name}: {found[name]}\n  {expected[name]}" for name in both if expected[name] != found[name]]
    return "\n".join(lines)
