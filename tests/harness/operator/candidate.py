"""A candidate for a Lease that writes continuously while it leads. test_election.py starts several.

    python -m tests.harness.operator.candidate KUBECONFIG NAMESPACE IDENTITY

The process prints a line for each action, with the time by the clock that all processes of a machine share: `began T`,
`held T`, `wrote T VERSION`, `refused T` (by its own guard), `failed T`. It exits with code 3 when it loses the lease.
"""

import asyncio
import itertools
import sys
import time
from pathlib import Path

from kubernetes.aio.client.configuration import Configuration
from marketstream.service import run_until, run_until_stopped
from marketstream.telemetry import configure_logging
from marketstream_operator.kinds import Kind
from marketstream_operator.kube.api import Api, ApiError, NotLeadingError
from marketstream_operator.kube.election import Election, LeaseLostError
from marketstream_operator.kube.login import configuration

CONFIG_MAP = Kind("", "v1", "configmaps", "ConfigMap")
LEASE_NAME = "leader"
WRITES = "writes"
EXIT_LOST = 3


class Candidate:
    def __init__(self, login: Configuration, namespace: str, identity: str) -> None:
        self._api = Api(login, may_write=self._may_write)
        self._namespace, self._identity = namespace, identity
        self._numbers = itertools.count()
        self._election = Election(self._api, namespace, LEASE_NAME, identity)

    def _may_write(self) -> bool:
        return self._election.holds()

    async def run(self) -> None:
        say("began", time.monotonic())
        watching = asyncio.create_task(self._watch())
        try:
            await self._election.run(self._lead)
        finally:
            watching.cancel()
            await self._api.close()

    async def _watch(self) -> None:
        while True:
            at = time.monotonic()
            if self._election.holds():
                say("held", at)
            await asyncio.sleep(0.02)

    async def _lead(self) -> None:
        try:
            while True:
                await self._write()
                await asyncio.sleep(0.02)
        finally:
            await self._write()

    async def _write(self) -> None:
        at = time.monotonic()
        try:
            body = {"data": {"by": self._identity, "number": str(next(self._numbers))}}
            answer = await self._api.merge(CONFIG_MAP, self._namespace, WRITES, body)
        except NotLeadingError:
            say("refused", at)
        except ApiError:
            say("failed", at)
        else:
            say("wrote", at, answer["metadata"]["resourceVersion"])


def say(what: str, at: float, version: str = "") -> None:
    print(what, at, version, flush=True)


async def main(stop: asyncio.Event) -> None:
    kubeconfig, namespace, identity = sys.argv[1:]
    candidate = Candidate(await configuration(Path(kubeconfig), None), namespace, identity)
    try:
        await run_until(stop, candidate.run())
    except LeaseLostError as error:
        print("lost", error, flush=True)
        sys.exit(EXIT_LOST)


if __name__ == "__main__":
    configure_logging("info")
    run_until_stopped(main)
