"""Leader election between real processes and a real API server: under any fault, no two lead at once."""

import asyncio
import itertools
import signal
import sys
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest
from marketstream_operator.kube.election import DURATION_S, RENEW_DEADLINE_S

from tests.harness.needs import PROJECT
from tests.harness.operator.apiserver import ApiServer
from tests.harness.operator.candidate import EXIT_LOST, LEASE_NAME, WRITES
from tests.harness.operator.proxy import Proxy
from tests.harness.operator.requests import Request

LEASES = "/apis/coordination.k8s.io/v1/namespaces"
REPLACED_S = 3 * 20.0
"""Seconds after which a killed leader must have been replaced: three times the goal."""

GOES_ON_S = 10.0
"""Seconds within which a leader that continues writing has reported it, on a machine that halts now and then."""


class Process:
    """A candidate process and its output."""

    def __init__(self, name: str, process: asyncio.subprocess.Process, log: Path) -> None:
        self.name = name
        self._process = process
        self._log = log

    def times(self, *what: str) -> list[float]:
        """Return the times of its lines that contain one of these words."""
        return [float(words[1]) for words in self._lines() if words[0] in what]

    def versions(self) -> list[int]:
        """Return the versions of the object that this candidate has written."""
        return [int(words[2]) for words in self._lines() if words[0] == "wrote"]

    def _lines(self) -> list[list[str]]:
        whole = self._log.read_text().rpartition("\n")[0]
        return [line.split() for line in whole.splitlines()]

    def signal(self, number: signal.Signals) -> float:
        """Send the signal and return the time."""
        at = time.monotonic()
        self._process.send_signal(number)
        return at

    def is_leading(self) -> bool:
        """Return True if this candidate has written within the last second."""
        return any(at > time.monotonic() - 1 for at in self.times("wrote")[-1:])

    async def ended(self, limit_s: float) -> int:
        """Wait until the process has ended, and return its exit code."""
        async with asyncio.timeout(limit_s):
            return await self._process.wait()

    async def kill(self) -> None:
        """Kill the process unless it has ended."""
        if self._process.returncode is None:
            self._process.kill()
            await self._process.wait()


class Replicas:
    """Candidates that all use `proxy`. The end checks that no two of them led at the same time."""

    def __init__(self, proxy: Proxy, namespace: str, user: str, directory: Path) -> None:
        self._proxy, self._namespace, self._user, self._directory = proxy, namespace, user, directory
        self.all: list[Process] = []

    async def start(self, name: str) -> Process:
        log = self._directory / name
        with log.open("wb") as output:
            process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", "tests.harness.operator.candidate"),
                *(self._proxy.kubeconfig(self._user), self._namespace, name),
                stdout=output,
                cwd=PROJECT,
            )
        self.all.append(Process(name, process, log))
        return self.all[-1]

    def _answered(self, method: str) -> list[Request]:
        """Return the successful requests to the Lease."""
        return [each for each in self._proxy.requests if (each.method, each.status) == (method, 200)
                and each.resource.plural == "leases"]  # fmt: skip

    def looks(self) -> int:
        """Return the number of reads of the Lease by a candidate that does not lead."""
        return len(self._answered("GET"))

    def renewals(self, of: Process) -> list[Request]:
        """Return the renewals of the Lease by this candidate."""
        return [each for each in self._answered("PUT") if each.json["spec"]["holderIdentity"] == of.name]

    async def renewed(self, of: Process) -> None:
        """Wait for the next renewal of the lease: from then on, the lease lasts for as long as possible."""
        before = len(self.renewals(of))
        await until(lambda: len(self.renewals(of)) > before, GOES_ON_S)

    def check(self) -> None:
        leaders = sorted((each for each in self.all if each.times("held")), key=lambda each: each.times("held")[0])
        for before, after in itertools.pairwise(leaders):
            assert before.times("held")[-1] < after.times("held")[0], f"{before.name} and {after.name} led together"
            assert before.versions()[-1] < after.versions()[0], f"{before.name} wrote after {after.name}"


@pytest.fixture
async def replicas(apiserver: ApiServer, proxy: Proxy, namespace: str, tmp_path: Path) -> AsyncIterator[Replicas]:
    """Candidates with the operator's rights on Leases, and the right to change the object that they write."""
    config_map = {"metadata": {"name": WRITES}}
    await apiserver.request("POST", f"/api/v1/namespaces/{namespace}/configmaps", config_map)
    user = await apiserver.service_account(namespace, "operator")
    rules = [
        {"apiGroups": ["coordination.k8s.io"], "resources": ["leases"], "verbs": ["get", "create", "update"]},
        {"apiGroups": [""], "resources": ["configmaps"], "verbs": ["patch"]},
    ]
    rbac = f"/apis/rbac.authorization.k8s.io/v1/namespaces/{namespace}"
    await apiserver.request("POST", f"{rbac}/roles", {"metadata": {"name": "operator"}, "rules": rules})
    binding = {
        "metadata": {"name": "operator"},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "operator"},
        "subjects": [{"kind": "ServiceAccount", "namespace": namespace, "name": "operator"}],
    }
    await apiserver.request("POST", f"{rbac}/rolebindings", binding)
    replicas = Replicas(proxy, namespace, user, tmp_path)
    try:
        yield replicas
        replicas.check()
    finally:
        for process in replicas.all:
            await process.kill()


async def until(condition: Callable[[], object], limit_s: float) -> float:
    """Wait until the condition holds, and return the time."""
    async with asyncio.timeout(limit_s):
        while not condition():  # noqa: ASYNC110  changes by other processes come without an event
            await asyncio.sleep(0.05)
    return time.monotonic()


async def two(replicas: Replicas) -> tuple[Process, Process]:
    """A leader and a candidate that waits."""
    leader = await replicas.start("first")
    await until(leader.is_leading, 30)
    before = replicas.looks()
    other = await replicas.start("second")
    await until(lambda: replicas.looks() >= before + 2, 30)
    await replicas.renewed(leader)
    await until(leader.is_leading, GOES_ON_S)
    assert not other.times("held", "wrote")
    return leader, other


async def test_one_leads_and_after_an_orderly_end_the_next_does_at_once(
    apiserver: ApiServer, namespace: str, replicas: Replicas
) -> None:
    leader, other = await two(replicas)
    lease = await apiserver.request("GET", f"{LEASES}/{namespace}/leases/{LEASE_NAME}")
    assert lease["spec"]["holderIdentity"] == "first"
    stopped = leader.signal(signal.SIGTERM)
    assert await leader.ended(10) == 0
    replaced = await until(other.is_leading, 10) - stopped
    print(f"replaced {replaced:.1f} s after SIGTERM")
    lease = await apiserver.request("GET", f"{LEASES}/{namespace}/leases/{LEASE_NAME}")
    assert lease["spec"]["holderIdentity"] == "second"
    assert lease["spec"]["leaseTransitions"] == 1
    other.signal(signal.SIGTERM)
    assert await other.ended(10) == 0


async def test_a_leader_that_is_killed_is_replaced(replicas: Replicas) -> None:
    leader, other = await two(replicas)
    killed = leader.signal(signal.SIGKILL)
    replaced = await until(other.is_leading, REPLACED_S) - killed
    print(f"replaced {replaced:.1f} s after SIGKILL")
    assert other.times("held")[0] - replicas.renewals(leader)[-1].at >= DURATION_S


async def test_a_leader_that_was_stopped_and_wakes_writes_nothing_and_ends(replicas: Replicas) -> None:
    leader, other = await two(replicas)
    leader.signal(signal.SIGSTOP)
    await until(other.is_leading, REPLACED_S)
    woken = leader.signal(signal.SIGCONT)
    assert await leader.ended(10) == EXIT_LOST
    # Requests from before the halt are executed; none of the later ones is.
    assert [at for at in leader.times("wrote") if at >= woken] == []
    assert leader.times("refused")
    assert min(leader.times("refused")) >= woken
    await until(other.is_leading, GOES_ON_S)


async def test_a_leader_outlives_a_short_absence_of_the_api_server(proxy: Proxy, replicas: Replicas) -> None:
    leader, other = await two(replicas)
    for begin in (lambda: proxy.answer(503), proxy.freeze):
        await replicas.renewed(leader)
        absence = begin()
        proxy.cut()
        await asyncio.sleep(6)
        absence.lift()
        await until(leader.is_leading, GOES_ON_S)
        await asyncio.sleep(RENEW_DEADLINE_S - 5)
        await until(leader.is_leading, GOES_ON_S)
    assert leader.times("failed")
    assert not other.times("held")


async def test_a_leader_ends_at_its_deadline_when_the_api_server_stays_away(
    apiserver: ApiServer, replicas: Replicas
) -> None:
    leader, other = await two(replicas)
    apiserver.pause()
    stopped = time.monotonic()
    assert await leader.ended(RENEW_DEADLINE_S + 20) == EXIT_LOST
    held_until = leader.times("held")[-1]
    assert held_until < stopped + RENEW_DEADLINE_S
    assert held_until > replicas.renewals(leader)[-1].at + RENEW_DEADLINE_S - 4
    assert leader.times("refused")
    await asyncio.sleep(1)
    assert not other.times("held")
    apiserver.resume()
    await until(other.is_leading, REPLACED_S)
