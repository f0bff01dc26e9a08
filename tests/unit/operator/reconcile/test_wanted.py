"""The spec that a reconcile works from when the present one cannot work."""

from types import SimpleNamespace
from typing import Any, cast

import pytest
from marketstream_operator.plan.connection import Connection
from marketstream_operator.reconcile import wanted as module
from marketstream_operator.reconcile.connections import CONNECTION as FIELD
from marketstream_operator.reconcile.connections import Connections
from marketstream_operator.reconcile.wanted import AWAITED_S, WantedSpecs
from marketstream_operator.resource.errors import AwaitedError, SpecError
from marketstream_operator.resource.spec import Spec
from marketstream_operator.settings import OperatorSettings

from tests.unit.operator.reconcile.fakes import CONNECTION, KEY, stream

OTHER = Connection({}, {}, CONNECTION.settings, "other")


class Secrets:
    """Connections that lead to `found`, or to an error while that is None."""

    def __init__(self) -> None:
        self.found: Connection | None = CONNECTION
        self.error: SpecError = SpecError(FIELD, "there is no Secret")

    async def of(self, _namespace: str, _spec: Spec) -> Connection:
        if self.found is None:
            raise self.error
        return self.found


def wanted_specs(secrets: Secrets, **settings: Any) -> WantedSpecs:
    return WantedSpecs(OperatorSettings(**settings), cast("Connections", secrets))


async def test_a_good_spec_is_the_one_to_work_from() -> None:
    wanted, error = await wanted_specs(Secrets()).of(stream())
    assert wanted is not None
    assert (wanted.spec.symbols, wanted.connection, error) == (("AAA",), CONNECTION, None)


async def test_with_an_error_the_last_good_spec_stays_and_follows_its_secret() -> None:
    secrets = Secrets()
    specs = wanted_specs(secrets)
    await specs.of(stream())
    secrets.found = OTHER
    wanted, error = await specs.of(stream(symbols=["a"]))
    assert wanted is not None
    assert (wanted.spec.symbols, wanted.connection) == (("AAA",), OTHER)
    assert error is not None
    assert error.field == "spec.symbols[0]"


async def test_a_secret_that_is_missing_leaves_the_last_good_connection() -> None:
    secrets = Secrets()
    specs = wanted_specs(secrets)
    good, _ = await specs.of(stream())
    secrets.found = None
    wanted, error = await specs.of(stream())
    assert wanted == good
    assert error is not None
    assert error.field == FIELD


@pytest.mark.parametrize("forgotten", [True, False], ids=["deleted", "created again"])
async def test_the_last_good_spec_is_that_of_the_same_object(forgotten: bool) -> None:
    specs = wanted_specs(Secrets())
    await specs.of(stream())
    if forgotten:
        specs.forget(KEY)
    wanted, error = await specs.of(stream(uid="u" if forgotten else "v", symbols=["a"]))
    assert wanted is None
    assert error is not None


async def test_strimzi_creates_topics_in_one_namespace_only() -> None:
    specs = wanted_specs(Secrets(), kafka_mode="strimzi", pod_namespace="kafka")
    wanted, error = await specs.of(stream())
    assert wanted is None
    assert str(error) == (
        "metadata.namespace: got namespace markets, but Strimzi creates topics only in namespace kafka: apply the "
        "MarketStream there"
    )
    assert (await wanted_specs(Secrets(), kafka_mode="strimzi", pod_namespace=KEY.namespace).of(stream()))[1] is None


async def test_a_stream_that_waits_follows_its_spec_with_the_connection_that_it_has() -> None:
    """Strimzi replaces the Secret of a user whose password is changed."""
    secrets = Secrets()
    specs = wanted_specs(secrets)
    await specs.of(stream())
    secrets.found, secrets.error = None, AwaitedError(FIELD, "not yet")
    wanted, error = await specs.of(stream(symbols=["AAA", "BBB"]))
    assert wanted is not None
    assert (wanted.spec.symbols, wanted.connection) == (("AAA", "BBB"), CONNECTION)
    assert isinstance(error, AwaitedError)
    wanted, _ = await specs.of(stream(symbols=["CCC"], connectionSecretRef={"name": "another"}))
    assert wanted is not None
    assert wanted.spec.symbols == ("AAA",), "another connection is needed"


async def test_waiting_for_another_operator_ends_in_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [1000.0]
    monkeypatch.setattr(module, "time", SimpleNamespace(monotonic=lambda: now[0]))
    secrets = Secrets()
    specs = wanted_specs(secrets)
    secrets.found, secrets.error = None, AwaitedError(FIELD, "not yet")

    async def is_waiting() -> bool:
        _, error = await specs.of(stream())
        assert str(error) == f"{FIELD}: not yet"
        return isinstance(error, AwaitedError)

    assert await is_waiting()
    now[0] += AWAITED_S - 1
    assert await is_waiting()
    now[0] += 1
    assert not await is_waiting()
    secrets.found = CONNECTION
    await specs.of(stream())
    secrets.found = None
    assert await is_waiting(), "the time counts from the new beginning"
