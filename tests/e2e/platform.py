"""The release, its MarketStream and its database, as the tests use them."""

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
from tests.e2e.truth import UNAVAILABLE, Twin, Watch
from tests.harness.needs import PROJECT

NAME: Final = "marketstream"
"""The name of the release, with which the names of its objects begin."""

CRD: Final = "marketstreams.marketstream.io"
STREAM: Final = "majors"
MANIFEST: Final = PROJECT / "manifests" / "majors.yaml"
RESOURCE: Final = "marketstreams.marketstream.io"

SYMBOLS: Final = ("BTCUSDT", "ETHUSDT", "SOLUSDT")
"""The symbols of the manifest."""

INSTALL_S: Final = 240.0
SETTLED_S: Final = 120.0
GOAL_S: Final = 40.0
"""The goal for the seconds from `kubectl apply` of a MarketStream to the first candle in PostgreSQL."""

FIRST_CANDLE_S: Final = 120.0
"""The limit for the same, on a busy machine."""


class Definition(NamedTuple):
    """The CRD of MarketStream, of which a cluster has only one. The CRD of another release is used unchanged."""

    before: bool
    """True if the CRD existed before. It then stays."""
    foreign: bool
    """True if the CRD belongs to another release that is installed."""

    @classmethod
    async def found(cls, namespace: str) -> Self:
        """Return the state of the CRD before a release in this namespace is installed."""
        asked = await program("kubectl", "get", "customresourcedefinition", CRD, "--ignore-not-found", "-o", "json")
        if not asked:
            return cls(before=False, foreign=False)
        annotations = json.loads(asked)["metadata"].get("annotations", {})
        owner = annotations.get("meta.helm.sh/release-namespace", "")
        alive = owner and owner != namespace and owner in await helm("list", "--all-namespaces", "--no-headers")
        return cls(before=True, foreign=bool(alive))

    @property
    def values(self) -> dict[str, Any]:
        """Values for the chart."""
        return {"crds": {"enabled": not self.foreign}}

    @property
    def options(self) -> list[str]:
        """Options for `helm install`."""
        return ["--take-ownership"] if self.before and not self.foreign else []

    async def remove(self) -> None:
        """Check that the uninstalled release has left the CRD, and delete it unless it existed before."""
        assert await program("kubectl", "get", "customresourcedefinition", CRD), "helm uninstall deleted the CRD"
        if not self.before:
            await program("kubectl", "delete", "customresourcedefinition", CRD, "--timeout=60s", limit=70)


class Platform:
    """An installation. `kube` is its namespace, `beside` the namespace of the exchange."""

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
        """Check all new candles in the background."""
        async with forwarded(self.kube, f"service/{NAME}-postgresql", 5432) as self._database, self.watch.watching():
            yield

    async def helm(self, *arguments: str, values: Mapping[str, Any] | None = None, limit: float = INSTALL_S) -> str:
        """Run helm in the namespace, with the values if given, and return its output."""
        given: list[str] = []
        if values is not None:
            file = self.chart.parent / "values.json"
            file.write_text(json.dumps(values))
            given = ["--values", str(file)]
        return await helm(*arguments, "--namespace", self.kube.namespace, *given, limit=limit)

    async def install(self) -> float:
        """Install the release, wait until all of it is ready, and return the seconds that this took."""
        began = time.monotonic()
        await self.helm(
            "install", NAME, str(self.chart), "--wait", f"--timeout={INSTALL_S:g}s", *self.crd.options,
            values=self.values, limit=INSTALL_S + 10,
        )  # fmt: skip
        return time.monotonic() - began

    def manifest(self) -> dict[str, Any]:
        """Return the MarketStream of manifests/majors.yaml, with the tests' exchange and the current symbols."""
        stream: dict[str, Any] = yaml.safe_load(MANIFEST.read_text())
        assert stream["spec"]["symbols"] == list(SYMBOLS)
        address = f"{outside.EXCHANGE}.{self.beside.namespace}.svc:{outside.EXCHANGE_PORT}"
        stream["spec"]["symbols"] = list(self.symbols)
        stream["spec"]["endpoints"] = {"webSocket": f"ws://{address}", "rest": f"http://{address}"}
        return stream

    async def apply(self) -> None:
        """Apply the MarketStream."""
        await self.kube.apply(self.manifest())

    async def change(self, **spec: Any) -> None:
        """Change fields of the MarketStream's spec."""
        await self.kube.patch(RESOURCE, STREAM, {"spec": spec})

    async def says(self, condition: str, status: str, reason: str = "", limit: float = SETTLED_S) -> None:
        """Wait until a condition of the MarketStream has this status and, if given, this reason."""
        await self.kube.says(RESOURCE, STREAM, condition, status, reason, limit)

    async def settled(self) -> None:
        """Wait until the MarketStream is ready, as of its current generation."""

        async def it_is() -> bool:
            stream = await self.kube.get(RESOURCE, STREAM)
            status = stream.get("status", {})
            said = {each["type"]: each["status"] for each in status.get("conditions", ())}
            assert status.get("observedGeneration") == stream["metadata"]["generation"], "not observed yet"
            assert (said.get("Ready"), said.get("Progressing")) == ("True", "False"), status["conditions"]
            return True

        await until(it_is, SETTLED_S, f"{STREAM} has not settled")

    async def stream_pods(self, role: str = "") -> dict[str, Any]:
        """Return the pods of the MarketStream by uid, of one role or of both."""
        return await self.kube.pods(f"marketstream.io/stream={STREAM}" + (f",{component(role)}" if role else ""))

    async def connection(self) -> dict[str, str]:
        """Return the content of the Secret with the addresses of Kafka, PostgreSQL and Redis."""
        secret = await self.kube.get("secret", f"{NAME}-connection")
        return {key: base64.b64decode(text).decode() for key, text in secret["data"].items()}

    async def database(self) -> Any:
        """Connect to PostgreSQL. Raises one of UNAVAILABLE."""
        assert self._database is not None, "PostgreSQL can only be reached within watching()"
        try:
            self._url = self._url or (await self.connection())["DATABASE_URL"]
            url = urlsplit(self._url)
            address = url._replace(netloc=f"{url.netloc.rpartition('@')[0]}@127.0.0.1:{self._database.port}")
            async with asyncio.timeout(10):
                return await asyncpg.connect(address.geturl(), ssl=False)
        except (ProgramError, *UNAVAILABLE) as error:
            self._database.renew()
            raise ConnectionError(f"PostgreSQL is unavailable: {error!r}") from error

    async def fetch(self, statement: str, *arguments: Any) -> list[Any]:
        """Return rows of the database. Raises ConnectionError while it is unavailable."""
        connection = await self.database()
        try:
            return list(await connection.fetch(statement, *arguments))
        except errors.OUTAGES as error:
            raise ConnectionError(f"PostgreSQL is unavailable: {error!r}") from error
        finally:
            connection.terminate()

    async def first_candle(self, symbol: str, began: float) -> float:
        """Wait for the first candle of a symbol in PostgreSQL; return the seconds since `began` (monotonic)."""

        async def there() -> bool:
            with contextlib.suppress(asyncpg.UndefinedTableError):
                return bool(await self.fetch("SELECT 1 FROM candles_10s WHERE symbol = $1 LIMIT 1", symbol))
            return False

        await until(there, FIRST_CANDLE_S, f"no candle of {symbol}")
        return time.monotonic() - began

    async def knock(self, *targets: tuple[str, int]) -> dict[str, str]:
        """Return for each host of the targets if a pod outside the release reached it or was refused."""
        await self.kube.apply(stranger(targets))
        await self.kube.run(
            "wait", "pod/stranger", "--for=jsonpath={.status.phase}=Succeeded", "--timeout=60s", limit=70
        )
        said = await self.kube.run("logs", "stranger")
        await self.kube.run("delete", "pod", "stranger", "--now")
        return dict(line.split() for line in said.splitlines())

    async def replaced(self, kube: Kube, selector: str, before: Mapping[str, Any], limit: float = SETTLED_S) -> None:
        """Wait until as many new pods are ready as there were pods `before`."""

        async def they_are() -> bool:
            now = await kube.pods(selector)
            ready = [uid for uid, pod in now.items() if is_ready(pod) and uid not in before]
            assert len(ready) >= len(before), f"{len(ready)} of {len(before)} {selector} are ready again"
            return True

        await until(they_are, limit)


def component(name: str) -> str:
    """Return the label selector of a component's pods."""
    return f"app.kubernetes.io/component={name}"


async def chart_copy(folder: Path) -> tuple[Path, bool]:
    """Copy the chart with its dependencies; return the copy, and True if it includes Strimzi's real chart."""
    target = folder / "chart"
    await program(str(PROJECT / "charts" / "with-dependencies"), str(target))
    return target, any((target / "charts").glob("strimzi-kafka-operator-*.tgz"))


def base_values(beside: str) -> dict[str, Any]:
    """Return the values of every release: the images of this checkout, and access to the exchange."""
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
    """Return the values for the broker of outside.py."""
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
