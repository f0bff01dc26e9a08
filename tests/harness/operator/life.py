"""Helpers of robustness tests: the objects in the end, writes until quiet, an operator that is restarted like a pod."""

import asyncio
import contextlib
import signal
from collections.abc import AsyncIterator, Collection, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from marketstream_operator import names

from tests.harness.operator.proxy import Proxy
from tests.harness.operator.requests import Request
from tests.harness.operator.running import DEPLOYMENTS, MERGE, STREAMS, Cluster, RunningOperator, until

LEASES = "/apis/coordination.k8s.io/v1/namespaces/{}/leases"
TOPICS = "/apis/kafka.strimzi.io/v1/namespaces/{}/kafkatopics"
LEASE = "marketstream-operator"
STRIMZI = {"KAFKA_MODE": "strimzi", "KAFKA_CLUSTER": "main"}
"""Settings with which the operator creates nothing outside the Kubernetes API."""

_OF_THE_SERVER = ("uid", "resourceVersion", "generation", "creationTimestamp", "managedFields", "selfLink")

Objects = dict[str, Any]


async def made(cluster: Cluster, *kinds: str, owners: Collection[str] | None = None) -> Objects:
    """Return the objects that the operator has created in the namespace, by kind and name.

    Fields that the API server has set or that differ between namespaces are left out, so that equal histories give
    equal objects. `owners` selects the objects of MarketStreams with these uids: the garbage collector removes others.
    """
    found: Objects = {}
    for path in kinds or (DEPLOYMENTS, TOPICS):
        for item in (await cluster.get(path))["items"]:
            meta = {key: value for key, value in item["metadata"].items() if key not in _OF_THE_SERVER}
            del meta["namespace"]
            belongs = {each["uid"] for each in meta.get("ownerReferences", ())}
            if owners is not None and belongs.isdisjoint(owners):
                continue
            meta["annotations"] = _elsewhere(_without_digests(meta.get("annotations", {})), cluster.namespace)
            meta["ownerReferences"] = [{**each, "uid": ""} for each in meta.get("ownerReferences", ())]
            spec = _elsewhere(item["spec"], cluster.namespace)
            found[f"{path.rsplit('/', 1)[-1]}/{meta['name']}"] = {"metadata": meta, "spec": spec}
    return found


def _without_digests(annotations: Mapping[str, str]) -> dict[str, str]:
    """Remove the digests, which depend on the uid of the owner, and the marks of past rolls."""
    return {
        key: value for key, value in annotations.items() if key not in (names.DIGEST, names.SPEC_DIGEST, names.ROLL)
    }


def _elsewhere(value: Any, namespace: str) -> Any:
    """Replace the namespace in all texts: the consumer group of a pair contains it."""
    match value:
        case dict():
            return {key: _elsewhere(each, namespace) for key, each in value.items()}
        case list():
            return [_elsewhere(each, namespace) for each in value]
        case str():
            return value.replace(namespace, "NAMESPACE")
        case _:
            return value


async def says(cluster: Cluster, stream: str) -> list[tuple[str, str, str]]:
    """Return type, status and reason of each condition of the newest generation."""
    found = await cluster.get(STREAMS, stream)
    conditions = (found.get("status") or {}).get("conditions") or ()
    return [
        (each["type"], each["status"], each["reason"])
        for each in conditions
        if each["observedGeneration"] == found["metadata"]["generation"]
    ]


async def release_lease(cluster: Cluster) -> None:
    """Release the lease of a killed process, so that the next process need not wait 15 s for it to expire."""
    body = {"spec": {"holderIdentity": "", "leaseDurationSeconds": 1}}
    path = LEASES.format(cluster.namespace) + f"/{LEASE}"
    with contextlib.suppress(Exception):  # no lease exists yet
        await cluster.api.request("PATCH", path, body, content_type=MERGE)


def is_write(request: Request) -> bool:
    """Return True for a request that may have changed something other than the Lease."""
    return request.mutating and request.resource.plural != "leases"


def writes(proxy: Proxy) -> list[Request]:
    """Return the recorded writes of the proxy."""
    return [request for request in proxy.requests if is_write(request)]


async def quiet(proxy: Proxy, seconds: float, limit: float = 60.0) -> None:
    """Wait until nothing was written for `seconds`."""

    async def nothing_written() -> bool:
        before = len(writes(proxy))
        await asyncio.sleep(seconds)
        return len(writes(proxy)) == before

    await until(nothing_written, limit)


class Supervised(RunningOperator):
    """An operator that is restarted whenever it exits, as by the kubelet. `ends` holds its exit codes."""

    def __init__(self, directory: Path, kubeconfig: Path, namespace: str, **environment: str) -> None:
        super().__init__(directory, kubeconfig, namespace, **environment)
        self.ends: list[int] = []

    @asynccontextmanager
    async def kept_running(self, pause: float = 0.5) -> AsyncIterator[None]:
        """Within this context, restart the operator `pause` seconds after each exit."""

        async def keep() -> None:
            while True:
                assert self.process is not None
                self.ends.append(await self.process.wait())
                await asyncio.sleep(pause)
                await self.start()

        keeping = asyncio.create_task(keep())
        try:
            yield
        finally:
            keeping.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await keeping

    async def kill(self) -> None:
        """Kill the operator with SIGKILL."""
        await self.end(signal.SIGKILL)
