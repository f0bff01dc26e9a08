"""Stand-ins for the parts of a cluster that tests do not run.

They are the Deployment controller, the kubelet, Strimzi, and processors that write live statuses into Redis.
"""

import asyncio
import base64
import contextlib
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

from marketstream.redis.keys import Keys
from redis.asyncio import Redis

from tests.harness.operator.api import Api
from tests.harness.operator.running import DEPLOYMENTS, MERGE, PODS, STREAMS, Cluster, until

TOPICS = "/apis/kafka.strimzi.io/v1/namespaces/{}/kafkatopics"


async def put_status(cluster: Cluster, path: str, name: str, status: Mapping[str, Any]) -> None:
    """Write the status of an object, as its controller would."""
    full = f"{path.format(cluster.namespace)}/{name}/status"
    await cluster.api.request("PATCH", full, {"status": status}, content_type=MERGE)


async def settle(cluster: Cluster, *names: str) -> None:
    """Complete the rollouts of these Deployments, or of all in the namespace if no names are given."""
    for name, found in (await cluster.deployments()).items():
        if not names or name in names:
            await put_status(cluster, DEPLOYMENTS, name, settled(found))


async def unsettle(cluster: Cluster, name: str) -> None:
    """Make the pods of a Deployment unavailable."""
    gone = {"availableReplicas": 0, "readyReplicas": 0, "unavailableReplicas": 1}
    await put_status(cluster, DEPLOYMENTS, name, gone)


async def get_stuck(cluster: Cluster, name: str) -> None:
    """Let the rollout of a Deployment exceed its deadline, while its old pods stay available."""
    generation = (await cluster.get(DEPLOYMENTS, name))["metadata"]["generation"]
    counts = {"replicas": 2, "updatedReplicas": 1, "readyReplicas": 1, "availableReplicas": 1}
    timed_out = {"type": "Progressing", "status": "False", "reason": "ProgressDeadlineExceeded"}
    await put_status(
        cluster, DEPLOYMENTS, name, {"observedGeneration": generation, "conditions": [timed_out], **counts}
    )


def settled(deployment: Mapping[str, Any]) -> dict[str, int]:
    """Return the status of a Deployment whose rollout is complete."""
    wanted = deployment["spec"]["replicas"]
    counts = ("replicas", "updatedReplicas", "readyReplicas", "availableReplicas")
    return {"observedGeneration": deployment["metadata"]["generation"], **dict.fromkeys(counts, wanted)}


async def add_pod(cluster: Cluster, deployment: Mapping[str, Any], name: str, **status: Any) -> None:
    """Create a pod of a Deployment, with the status that the kubelet would report."""
    template = deployment["spec"]["template"]
    of = {"labels": template["metadata"]["labels"], "annotations": template["metadata"]["annotations"]}
    container = {"name": template["spec"]["containers"][0]["name"], "image": "any"}
    await cluster.put(PODS, {"metadata": {"name": name, **of}, "spec": {"containers": [container]}})
    if status:
        await put_status(cluster, PODS, name, status)


def waiting(reason: str, message: str = "", last_words: str = "", exit_code: int = 0) -> dict[str, Any]:
    """Return the status of a pod whose container is waiting; `last_words` is the end of its last log."""
    ended = {"exitCode": exit_code, "message": last_words}
    return {
        "containerStatuses": [
            {
                "name": "any", "image": "any", "imageID": "", "ready": False, "restartCount": 3,
                "state": {"waiting": {"reason": reason, "message": message}},
                "lastState": {"terminated": ended} if last_words else {},
            }
        ]
    }  # fmt: skip


async def environment_of(cluster: Cluster, deployment: Any) -> dict[str, str]:
    """Return the environment that the kubelet would give to the container."""
    found: dict[str, str] = {}
    for entry in deployment["spec"]["template"]["spec"]["containers"][0]["env"]:
        if "value" in entry:
            found[entry["name"]] = entry["value"]
        else:
            reference = entry["valueFrom"]["secretKeyRef"]
            secret = await cluster.get("/api/v1/namespaces/{}/secrets", reference["name"])
            found[entry["name"]] = base64.b64decode(secret["data"][reference["key"]]).decode()
    return found


class Market(Cluster):
    """A namespace with a running operator, and the servers that it uses."""

    def __init__(self, api: Api, namespace: str, redis_url: str, topic_prefix: str) -> None:
        super().__init__(api, namespace)
        self.redis_url = redis_url
        self.topic_prefix = topic_prefix

    async def tidy(self) -> None:
        """Remove the MarketStreams and, because no garbage collector runs, their children.

        Wait until each MarketStream has a status first. Otherwise the operator might still create the first children of
        a removed one.
        """

        async def all_told() -> bool:
            found = (await self.get(STREAMS))["items"]
            return all((each.get("status") or {}).get("observedGeneration") for each in found)

        await until(all_told)
        async with Redis.from_url(self.redis_url) as client:
            await client.flushdb()
        for path in (STREAMS, DEPLOYMENTS, PODS):
            await self.api.request("DELETE", path.format(self.namespace))

    async def hear(
        self, symbol: str, seconds_ago: float = 0.0, *, traded_seconds_ago: float | None = None, **more: float
    ) -> None:
        """Write the live status of a symbol, as `hear` does, into the Redis of this market."""
        await hear(self.redis_url, symbol, seconds_ago, traded_seconds_ago=traded_seconds_ago, **more)


async def hear(
    redis_url: str, symbol: str, seconds_ago: float = 0.0, *, traded_seconds_ago: float | None = None, **more: float
) -> None:
    """Write the live status of a simulator's symbol whose feed was heard `seconds_ago`, as a processor would.

    `traded_seconds_ago` is the age of the last trade, if it differs; `more` are further fields of the status.
    """
    now = time.time()
    said = {
        "last_trade_time": now - (seconds_ago if traded_seconds_ago is None else traded_seconds_ago),
        "last_trade_id": int(now * 10), "heard_until": now - seconds_ago, "complete_until": int(now - seconds_ago),
        "open_holes": 0, **more,
    }  # fmt: skip
    async with Redis.from_url(redis_url) as client:
        await client.hset(Keys.of("simulator", symbol).status, mapping=said)


@asynccontextmanager
async def heard(redis_url: str, *symbols: str, traded_seconds_ago: float = 0.0) -> AsyncIterator[None]:
    """Within this context, keep the live statuses of the symbols fresh, as processors would."""

    ended = asyncio.Event()

    async def keep_fresh() -> None:
        while not ended.is_set():
            for symbol in symbols:
                await hear(redis_url, symbol, traded_seconds_ago=traded_seconds_ago)
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(ended.wait(), 0.5)

    hearing = asyncio.create_task(keep_fresh())
    try:
        yield
    finally:
        ended.set()
        await hearing
