"""One Kubernetes API for all tests of the session, and for each test a namespace and a proxy of its own."""

import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from marketstream.local.kafka import KafkaServer
from marketstream.local.redis import RedisServer

from tests.harness.needs import STRIMZI_CRDS, needed_folder, unavailable
from tests.harness.operator.apiserver import ApiServer
from tests.harness.operator.assets import Assets, AssetsMissingError, find_assets
from tests.harness.operator.playing import Market
from tests.harness.operator.proxy import Proxy
from tests.harness.operator.running import CRD, Cluster, RunningOperator


@pytest.fixture(scope="session")
def assets(request: pytest.FixtureRequest) -> Assets:
    """Return the programs of a control plane. Skip if there are none and none can be built."""
    capture = request.config.pluginmanager.getplugin("capturemanager")
    try:
        with capture.global_and_fixture_disabled():  # a build takes minutes: show its progress
            return find_assets(lambda message: print(f"\n{message}", file=sys.stderr, flush=True))
    except AssetsMissingError as error:
        unavailable(str(error))


@pytest.fixture(scope="session")
async def apiserver(assets: Assets, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[ApiServer]:
    """The session's Kubernetes API."""
    async with ApiServer(tmp_path_factory.mktemp("kubernetes"), assets) as server:
        yield server


@pytest.fixture
async def namespace(apiserver: ApiServer) -> AsyncIterator[str]:
    """A namespace of this test alone. Afterwards its custom resources are deleted, and the API is served again."""
    name = await apiserver.namespace()
    yield name
    await apiserver.restore()
    await apiserver.delete_namespace(name)


@pytest.fixture
async def proxy(apiserver: ApiServer) -> AsyncIterator[Proxy]:
    """A proxy before the API that only this test uses."""
    async with Proxy(apiserver) as proxy:
        yield proxy


@pytest.fixture(scope="session")
async def kinds(apiserver: ApiServer) -> None:
    """Make the API serve MarketStreams."""
    await apiserver.kubectl("apply", "-f", str(CRD))
    await apiserver.serves("/apis/marketstream.io/v1alpha1/marketstreams")


@pytest.fixture(scope="session")
def strimzi_crds() -> Path:
    """Return the folder with the CRDs of Strimzi."""
    return needed_folder(STRIMZI_CRDS, "definitions of Strimzi")


@pytest.fixture(scope="session")
async def strimzi(apiserver: ApiServer, strimzi_crds: Path) -> None:
    """Make the API serve the KafkaTopics of Strimzi."""
    await apiserver.kubectl("apply", "--server-side", "-f", str(strimzi_crds / "043-Crd-kafkatopic.yaml"))
    await apiserver.serves("/apis/kafka.strimzi.io/v1/kafkatopics")


@pytest.fixture
def cluster(apiserver: ApiServer, namespace: str, kinds: None) -> Cluster:
    """The test's own namespace."""
    return Cluster(apiserver, namespace)


@pytest.fixture
async def connected(cluster: Cluster, kafka: KafkaServer, redis_url: str) -> Cluster:
    """The test's own namespace, with a connection to a real Kafka and Redis. No test uses PostgreSQL."""
    await cluster.connect(kafka.address, "postgresql://nobody@127.0.0.1:1/none", redis_url)
    return cluster


Operate = Callable[..., Awaitable[RunningOperator]]


@pytest.fixture
async def operate(connected: Cluster, topic_prefix: str, tmp_path: Path) -> AsyncIterator[Operate]:
    """Return a function that starts an operator for the test's namespace with settings.

    A `kubeconfig` may lead the operator through a proxy.
    """
    async with AsyncExitStack() as stack:

        async def start(kubeconfig: Path | None = None, **environment: str) -> RunningOperator:
            environment = {"TOPIC_PREFIX": topic_prefix, "RESYNC_S": "5", **environment}
            login = kubeconfig or connected.api.kubeconfig()
            running = RunningOperator(tmp_path, login, connected.namespace, **environment)
            await stack.enter_async_context(running)
            await running.leading()
            return running

        yield start


@pytest.fixture(scope="module")
async def shared_market(
    apiserver: ApiServer,
    kinds: None,
    kafka: KafkaServer,
    redis_server: RedisServer,
    tmp_path_factory: pytest.TempPathFactory,
) -> AsyncIterator[Market]:
    """An operator takes seconds to start: tests that need no other settings share one."""
    namespace = await apiserver.namespace("market")
    redis_url = urlsplit(redis_server.address)._replace(path="/0").geturl()
    market = Market(apiserver, namespace, redis_url, topic_prefix=namespace)
    await market.connect(kafka.address, "postgresql://nobody@127.0.0.1:1/none", redis_url)
    settings = {"TOPIC_PREFIX": namespace, "RESYNC_S": "5"}
    async with RunningOperator(
        tmp_path_factory.mktemp("operator"), apiserver.kubeconfig(), namespace, **settings
    ) as one:
        await one.leading()
        yield market


@pytest.fixture
async def market(shared_market: Market) -> AsyncIterator[Market]:
    """An empty namespace with an operator that resyncs every five seconds."""
    yield shared_market
    await shared_market.tidy()


@pytest.fixture
async def connected_to_nobody(cluster: Cluster) -> Cluster:
    """The test's own namespace, with a connection to servers that do not exist.

    It is for tests of the operator's requests to Kubernetes.
    """
    await cluster.connect("127.0.0.1:1", "postgresql://nobody@127.0.0.1:1/none", "redis://127.0.0.1:1/0")
    return cluster
