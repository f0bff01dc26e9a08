"""The Secrets of a connection: their required keys, and how often they are read."""

import base64
from collections.abc import Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
from marketstream_operator.kinds import Kind
from marketstream_operator.kube.api import Api, NotFoundError
from marketstream_operator.reconcile import connections as module
from marketstream_operator.reconcile.connections import KEPT_S, Connections
from marketstream_operator.resource.errors import SpecError
from marketstream_operator.resource.spec import Spec
from marketstream_operator.resource.validation import read_spec
from marketstream_operator.settings import OperatorSettings

from tests.harness.operator.strimzi import STORE, authority_secret, user_secret

HOME = "market"
GOOD = {"KAFKA_BOOTSTRAP": "kafka:9092", "DATABASE_URL": "postgresql://u:p@db/market", "REDIS_URL": "redis://cache/0"}


class Secrets:
    """An API server with Secrets, as texts or in base64. None stands for a missing Secret."""

    def __init__(self, encoded: Mapping[str, Any] | None = None, **held: dict[str, str] | None) -> None:
        self.encoded = encoded or {}
        self.held = held
        self.read: list[str] = []

    async def get(self, _kind: Kind, _namespace: str, name: str) -> dict[str, Any]:
        self.read.append(name)
        if name in self.encoded:
            return {"data": self.encoded[name]}
        data = self.held.get(name)
        if data is None:
            raise NotFoundError(f"no {name}", 404)
        return {"data": {key: base64.b64encode(text.encode()).decode() for key, text in data.items()}}


def connections_of(secrets: Secrets, **settings: str) -> Connections:
    given = OperatorSettings(pod_namespace=HOME, connection_secret="connection", **settings)  # type: ignore[arg-type]  # noqa: S106
    return Connections(cast("Api", secrets), given)


def spec(secret: str | None = None) -> Spec:
    reference = {} if secret is None else {"connectionSecretRef": {"name": secret}}
    return read_spec({"exchange": "simulator", "symbols": ["AAA"], **reference})


@pytest.fixture
def now(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """A clock to be moved by hand: its only item is the time."""
    clock = [1000.0]
    monkeypatch.setattr(module, "time", SimpleNamespace(monotonic=lambda: clock[0]))
    return clock


async def test_a_secret_that_is_missing_is_not_asked_for_by_every_stream(now: list[float]) -> None:
    secrets = Secrets()
    connections = connections_of(secrets)
    for _ in range(3):
        with pytest.raises(SpecError, match="there is no Secret connection in namespace market"):
            await connections.of(HOME, spec())
    assert secrets.read == ["connection"]
    secrets.held["connection"] = GOOD
    now[0] += KEPT_S
    assert (await connections.of(HOME, spec())).settings.kafka_bootstrap == "kafka:9092"


async def test_secrets_that_nobody_asks_for_any_more_are_forgotten(now: list[float]) -> None:
    connections = connections_of(Secrets(**{f"s{number}": GOOD for number in range(9)}))
    for number in range(9):
        await connections.of("desk", spec(f"s{number}"))
        now[0] += KEPT_S / 2
    assert len(connections._read) == 2


@pytest.mark.parametrize(("setting", "lacking"), [
    ("kafka_user_secret", "password"), ("kafka_ca_secret", "ca.crt"), ("database_ca_secret", "ca.crt"),
])  # fmt: skip
@pytest.mark.parametrize("content", [{}, {"password": "", "ca.crt": ""}])
async def test_a_secret_for_kafka_without_what_it_is_for_will_not_do(
    setting: str, lacking: str, content: dict[str, str]
) -> None:
    connections = connections_of(Secrets(connection=GOOD, strimzi=content), **{setting: "strimzi"})
    with pytest.raises(
        SpecError, match=f"the Secret market/strimzi, named in the operator's settings, lacks {lacking}"
    ):
        await connections.of(HOME, spec())


async def test_a_secret_for_kafka_that_is_not_there_yet_is_waited_for() -> None:
    connections = connections_of(Secrets(connection=GOOD), kafka_user_secret="strimzi")  # noqa: S106
    with pytest.raises(SpecError, match="Strimzi has not created the Secret strimzi in namespace market yet"):
        await connections.of(HOME, spec())


async def test_the_file_of_an_authority_is_written_once(now: list[float]) -> None:
    secrets = Secrets(connection=GOOD, authority={"ca.crt": "PEM"})
    connections = connections_of(secrets, kafka_ca_secret="authority")  # noqa: S106
    await connections.of(HOME, spec())
    (file,) = connections._folder.iterdir()
    assert file.read_text() == "PEM"
    file.write_text("left alone")
    now[0] += KEPT_S
    await connections.of(HOME, spec())
    assert file.read_text() == "left alone"


async def test_a_password_that_breaks_its_url_is_told_without_it() -> None:
    broken = GOOD | {"REDIS_URL": "redis://:pass#word@cache"}
    with pytest.raises(SpecError, match="the Secret market/connection: REDIS_URL cannot be parsed") as caught:
        await connections_of(Secrets(connection=broken)).of(HOME, spec())
    assert "word@" not in str(caught.value)


async def test_secrets_as_strimzi_makes_them_give_tls_and_a_login() -> None:
    """The binary store beside the certificate is not read."""
    strimzi = {
        "main-cluster-ca-cert": authority_secret("main", "PEM")["data"],
        "main": user_secret("main", "pw")["data"],
    }
    settings = {"kafka_user_secret": "main", "kafka_ca_secret": "main-cluster-ca-cert"}
    connections = connections_of(Secrets(strimzi, connection=GOOD), **settings)
    found = await connections.of(HOME, spec())
    assert (found.settings.kafka_sasl_username, found.settings.kafka_sasl_password) == ("main", "pw")
    (file,) = connections._folder.iterdir()
    assert (found.settings.kafka_ca_file, file.read_text()) == (str(file), "PEM")
    assert found.authorities("processor") == {"kafka": ("main-cluster-ca-cert", "ca.crt")}


async def test_entries_that_nobody_uses_need_not_be_text() -> None:
    given = {key: base64.b64encode(text.encode()).decode() for key, text in GOOD.items()}
    own = {"connection": given | {"keystore.p12": base64.b64encode(STORE).decode(), "broken": "no base64"}}
    assert (await connections_of(Secrets(own)).of(HOME, spec())).settings.redis_url == "redis://cache/0"


async def test_a_used_entry_that_is_not_text_is_named_without_its_value() -> None:
    binary = {"connection": {"REDIS_URL": base64.b64encode(b"redis://:pass\xff@cache").decode()}}
    with pytest.raises(SpecError) as caught:
        await connections_of(Secrets(binary)).of(HOME, spec())
    assert caught.value.message == "REDIS_URL of the Secret market/connection is not text in UTF-8: correct the value"


async def test_the_authority_of_the_database_comes_from_the_secret_of_cloudnativepg() -> None:
    secrets = Secrets(connection=GOOD)
    connections = connections_of(secrets, database_ca_secret="pg-ca")  # noqa: S106
    with pytest.raises(SpecError, match="CloudNativePG has not created the Secret pg-ca in namespace market yet"):
        await connections.of(HOME, spec())
    secrets.held["pg-ca"] = {"ca.crt": "PEM"}
    connections = connections_of(secrets, database_ca_secret="pg-ca")  # noqa: S106
    link = await connections.of(HOME, spec())
    assert link.authorities("processor") == {"database": ("pg-ca", "ca.crt")}
    assert link.authorities("producer") == {}
    assert Path(link.settings.database_ca).read_text() == "PEM"  # noqa: ASYNC240 - a small file
    assert (await connections.of("desk", spec("connection"))).authorities("processor") == {}
