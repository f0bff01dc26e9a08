"""The release, its MarketStream and its database, as a test drives them."""

import asyncio
import base64
import contextlib
import json
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final, NamedTuple, Self
from urllib.parse import urlsplit

import asyncpg
import yaml
from marketstream.postgres import errors

from tests.e2e import images, outside
from tests.e2e.kube import Forward, Kube, ProgramError, forwarded, helm, is_ready, program, until
from tests.e2e.stranger import stranger
from tests.e2e.truth import AWAY, Twin, Watch
from tests.harness.needs import PROJECT

NAME: Final = "marketstream"
"""Of the release, and so the base of all names."""

CRD: Final = "marketstreams.marketstream.io"
STREAM: Final = "majors"
MANIFEST: Final = PROJECT / "manifests" / "majors.yaml"
RESOURCE: Final = "marketstreams.marketstream.io"

SYMBOLS: Final = ("BTCUSDT", "ETHUSDT", "SOLUSDT")
"""Those of the manifest."""

INSTALL_S: Final = 240.0
SETTLED_S: Final = 120.0
GOAL_S: Final = 40.0
"""From `kubectl apply` of a MarketStream to the first candle in PostgreSQL."""

FIRST_CANDLE_S: Final = 120.0
"""The same on a machine that is busy with other things."""


class Definition(NamedTuple):
    """The definition of MarketStream, of which a cluster has one. Somebody else's is used as it is."""

    before: bool
    """Whether it was there before; then it stays."""
    foreign: bool
    """Whether it belongs to a release that is there."""

    @classmethod
    async def found(cls, namespace: str) -> Self:
        """What there is of it, for a release in this namespace."""
        asked = await program("kubectl", "get", "customresourcedefinition", CRD, "--ignore-not-found", "-o", "json")
        if not asked:
            return cls(before=False, foreign=False)
        annotations = json.loads(asked)["metadata"].get("annotations", {})
        owner = annotations.get("meta.helm.sh/release-namespace", "")
        alive = owner and owner != namespace and owner in await helm("list", "--all-namespaces", "--no-headers")
        return cls(before=True, foreign=bool(alive))

    @property
    def values(self) -> dict[str, Any]:
        """For the chart."""
        return {"crds": {"enabled": not self.foreign}}

    @property
    def options(self) -> list[str]:
        """For `helm install`."""
        return ["--take-ownership"] if self.before and not self.foreign else []

    async def remove(self) -> None:
        """Removes what the release has left, as it should."""
        assert await program("kubectl", "get", "customresourcedefinition", CRD), "it is kept"
        if not self.before:
            await program("kubectl", "delete", "customresourcedefinition", CRD, "--timeout=60s", limit=70)


class Platform:
    """One installation. `kube` is its namespace, `beside` that of the exchange."""

    def __init__(
        self, kube: Kube, beside: Kube, twin: Twin, chart: Path, crd: Definition, values: Mapping[str, Any]
    ) -> None:
        self.kube = kube
        self.beside = beside
        self.twin = twin
        self.chart = chart
        self.crd = crd
        self.values = {**values, **crd.values}
        self.watch = Watch(twin, self.database)
        self.symbols = list(SYMBOLS)
        self._database: Forward | None = None
        self._url = ""

    @asynccontextmanager
    async def watching(self) -> AsyncIterator[None]:
        """Looks at the candles all the time, as long as the block lasts."""
        async with forwarded(self.kube, f"service/{NAME}-postgresql", 5432) as self._database, self.watch.watching():
            yield

    async def helm(self, *arguments: str, values: Mapping[str, Any] | None = None, limit: float = INSTALL_S) -> str:
        """Runs helm in the namespace; with the values, where there are any."""
        given: list[str] = []
        if values is not None:
            file = self.chart.parent / "values.json"
            file.write_text(json.dumps(values))
            given = ["--values", str(file)]
        return await helm(*arguments, "--namespace", self.kube.namespace, *given, limit=limit)

    async def install(self) -> float:
        """Installs the release and waits for all of it; seconds that it took."""
        began = time.monotonic()
        await self.helm(
            "install", NAME, str(self.chart), "--wait", f"--timeout={INSTALL_S:g}s", *self.crd.options,
            values=self.values, limit=INSTALL_S + 10,
        )  # fmt: skip
        return time.monotonic() - began

    def manifest(self) -> dict[str, Any]:
        """The MarketStream of manifests/majors.yaml, with this exchange instead of Binance and these symbols."""
        stream: dict[str, Any] = yaml.safe_load(MANIFEST.read_text())
        assert stream["spec"]["symbols"] == list(SYMBOLS)
        address = f"{outside.EXCHANGE}.{self.beside.namespace}.svc:{outside.EXCHANGE_PORT}"
        stream["spec"]["symbols"] = list(self.symbols)
        stream["spec"]["endpoints"] = {"webSocket": f"ws://{address}", "rest": f"http://{address}"}
        return stream

    async def apply(self) -> None:
        """kubectl apply of that."""
        await self.kube.apply(self.manifest())

    async def change(self, **spec: Any) -> None:
        """Changes fields of its spec."""
        await self.kube.patch(RESOURCE, STREAM, {"spec": spec})

    async def says(self, condition: str, status: str, reason: str = "", limit: float = SETTLED_S) -> None:
        """Waits until a condition of the MarketStream says so."""
        await self.kube.says(RESOURCE, STREAM, condition, status, reason, limit)

    async def settled(self) -> None:
        """Waits until what runs is what was last asked for, and works."""

        async def it_is() -> bool:
            stream = await self.kube.get(RESOURCE, STREAM)
            status = stream.get("status", {})
            said = {each["type"]: each["status"] for each in status.get("conditions", ())}
            assert status.get("observedGeneration") == stream["metadata"]["generation"], "not seen by the operator yet"
            assert (said.get("Ready"), said.get("Progressing")) == ("True", "False"), status["conditions"]
            return True

        await until(it_is, SETTLED_S, f"{STREAM} has not settled")

    async def stream_pods(self, role: str = "") -> dict[str, Any]:
        """The pods of the MarketStream by uid, of one role or of both."""
        return await self.kube.pods(f"marketstream.io/stream={STREAM}" + (f",{component(role)}" if role else ""))

    async def connection(self) -> dict[str, str]:
        """What the Secret says of how to reach Kafka, PostgreSQL and Redis."""
        secret = await self.kube.get("secret", f"{NAME}-connection")
        return {key: base64.b64decode(text).decode() for key, text in secret["data"].items()}

    async def database(self) -> Any:
        """A connection to PostgreSQL. Raises one of AWAY."""
        assert self._database is not None, "only while it is watched"
        try:
            self._url = self._url or (await self.connection())["DATABASE_URL"]
            url = urlsplit(self._url)
            address = url._replace(netloc=f"{url.netloc.rpartition('@')[0]}@127.0.0.1:{self._database.port}")
            async with asyncio.timeout(10):
                return await asyncpg.connect(address.geturl(), ssl=False)
        except (ProgramError, *AWAY) as error:
            self._database.renew()
            raise ConnectionError(f"PostgreSQL is away: {error!r}") from error

    async def fetch(self, statement: str, *arguments: Any) -> list[Any]:
        """Rows of the database. Raises ConnectionError while it is away."""
        connection = await self.database()
        try:
            return list(await connection.fetch(statement, *arguments))
        except errors.OUTAGES as error:
            raise ConnectionError(f"PostgreSQL is away: {error!r}") from error
        finally:
            connection.terminate()

    async def first_candle(self, symbol: str, began: float) -> float:
        """Waits for the first candle of a symbol in PostgreSQL; seconds from `began` (monotonic) to its being there."""

        async def there() -> bool:
            with contextlib.suppress(asyncpg.UndefinedTableError):
                return bool(await self.fetch("SELECT 1 FROM candles_10s WHERE symbol = $1 LIMIT 1", symbol))
            return False

        await until(there, FIRST_CANDLE_S, f"no candle of {symbol}")
        return time.monotonic() - began

    async def knock(self, *targets: tuple[str, int]) -> dict[str, str]:
        """Whether a pod that belongs to nothing of the release reaches these, or is refused."""
        await self.kube.apply(stranger(targets))
        await self.kube.run(
            "wait", "pod/stranger", "--for=jsonpath={.status.phase}=Succeeded", "--timeout=60s", limit=70
        )
        said = await self.kube.run("logs", "stranger")
        await self.kube.run("delete", "pod", "stranger", "--now")
        return dict(line.split() for line in said.splitlines())

    async def replaced(self, kube: Kube, selector: str, before: Mapping[str, Any], limit: float = SETTLED_S) -> None:
        """Waits until as many other pods as there were `before` are ready."""

        async def they_are() -> bool:
            now = await kube.pods(selector)
            ready = [uid for uid, pod in now.items() if is_ready(pod) and uid not in before]
            assert len(ready) >= len(before), f"{len(ready)} of {len(before)} {selector} are ready again"
            return True

        await until(they_are, limit)


def component(name: str) -> str:
    """Selects the pods of a component."""
    return f"app.kubernetes.io/component={name}"


async def chart_copy(folder: Path) -> tuple[Path, bool]:
    """A copy of the chart that renders anywhere, and whether Strimzi's own chart is in it."""
    target = folder / "chart"
    await program(str(PROJECT / "charts" / "with-dependencies"), str(target))
    return target, any((target / "charts").glob("strimzi-kafka-operator-*.tgz"))


def base_values(beside: str) -> dict[str, Any]:
    """What both runs install with: images of this checkout, and the exchange where it is."""
    little = {"requests": {"cpu": "10m", "memory": "64Mi"}}
    return {
        "images": {"services": {"tag": images.TAG}, "operator": {"tag": images.TAG}},
        "postgresql": {"storage": {"size": "1Gi"}, "resources": little},
        "redis": {"resources": little},
        "operator": {"resources": little},
        "api": {"resources": little},
        "networkPolicy": {
            "exchange": {"to": [outside.peer(beside, outside.EXCHANGE)], "ports": [outside.EXCHANGE_PORT]},
        },
    }  # fmt: skip


def external_kafka(beside: str) -> dict[str, Any]:
    """The values for the broker of outside.py."""
    return {
        "strimzi": {"enabled": False},
        "kafka": {
            "mode": "external",
            "external": {
                "bootstrapServers": f"{outside.KAFKA}.{beside}.svc:{outside.KAFKA_PORT}",
                "egress": {"to": [outside.peer(beside, outside.KAFKA)], "ports": [outside.KAFKA_PORT]},
            },
        },
    }
