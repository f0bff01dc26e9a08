"""A client that only applies the objects of MarketStreams, as fast as the API server and the HTTP client allow.

test_scale.py compares the operator with this client.

    python -m tests.harness.operator.bare KUBECONFIG NAMESPACE STREAMS SYMBOLS

The client builds all objects from `spec_of` and then applies them with the operator's own HTTP client, content type and
concurrency. It prints one line: the elapsed seconds and the CPU seconds.
"""

import asyncio
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from marketstream.service import run_until_stopped
from marketstream.settings import Settings
from marketstream_operator import names
from marketstream_operator.cluster.apply import PARALLEL_WRITES
from marketstream_operator.kinds import DEPLOYMENT, KAFKA_TOPIC, Kind
from marketstream_operator.kube.api import Api
from marketstream_operator.kube.login import configuration
from marketstream_operator.names import StreamKey
from marketstream_operator.plan import desired
from marketstream_operator.plan.connection import Connection
from marketstream_operator.plan.desired import Owner, Pair
from marketstream_operator.resource.validation import read_spec
from marketstream_operator.settings import OperatorSettings

SETTINGS = OperatorSettings(kafka_mode="strimzi", kafka_cluster="main", services_image="marketstream/services:test")


def spec_of(stream: int, symbols: int) -> dict[str, Any]:
    """Return the spec of the n-th MarketStream. No two of them share a symbol."""
    return {"exchange": "simulator", "symbols": [f"S{stream:04d}X{symbol:03d}USDT" for symbol in range(symbols)]}


def name_of(stream: int) -> str:
    return f"stream-{stream:04d}"


def objects(namespace: str, streams: int, symbols: int) -> Iterator[tuple[Kind, dict[str, Any]]]:
    """Yield the objects that the operator would create for the MarketStreams."""
    secret = "marketstream-connection"  # noqa: S105 - its name
    sources = {name: (secret, name.upper()) for name in ("kafka_bootstrap", "database_url", "redis_url")}
    connection = Connection(sources, {}, Settings(), "12345678")
    for number in range(streams):
        owner, spec = (
            Owner(StreamKey(namespace, name_of(number)), names.digest(number)),
            read_spec(spec_of(number, symbols)),
        )
        for symbol in spec.symbols:
            yield KAFKA_TOPIC, desired.topic(owner, spec, symbol, SETTINGS, names.digest(symbol))
            pair = Pair(names.pair_of_symbol(symbol), (symbol,))
            for role in names.ROLES:
                digest = names.digest(symbol, role)
                yield DEPLOYMENT, desired.deployment(owner, spec, pair, role, 1, connection, SETTINGS, digest)


async def main(_: asyncio.Event) -> None:
    kubeconfig, namespace, streams, symbols = sys.argv[1:]
    api = Api(await configuration(Path(kubeconfig), None), may_write=lambda: True)  # no other process writes
    bodies = list(objects(namespace, int(streams), int(symbols)))
    turns = asyncio.Semaphore(SETTINGS.workers * PARALLEL_WRITES)

    async def apply(kind: Kind, body: dict[str, Any]) -> None:
        async with turns:
            await api.apply(kind, namespace, body["metadata"]["name"], body)

    begun, cpu = time.perf_counter(), time.process_time()
    async with asyncio.TaskGroup() as writes:
        for kind, body in bodies:
            writes.create_task(apply(kind, body))
    print(time.perf_counter() - begun, time.process_time() - cpu, flush=True)
    await api.close()


if __name__ == "__main__":
    run_until_stopped(main)
