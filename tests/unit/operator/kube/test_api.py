"""The API client: the guard of its writes, and answers that come from something on the way to the API server."""

import asyncio
from collections.abc import Awaitable, Callable
from types import SimpleNamespace
from typing import Any

import pytest
from kubernetes.aio.client.configuration import Configuration
from marketstream_operator.kinds import LEASE, POD
from marketstream_operator.kube.api import Api, ApiError, ConflictError, GoneError, NotFoundError, NotLeadingError

NOWHERE = "http://127.0.0.1:1"

Request = Callable[[Api], Awaitable[object]]

WRITES: dict[str, Request] = {
    "apply": lambda api: api.apply(POD, "ns", "pod", {}),
    "create": lambda api: api.create(POD, "ns", {}),
    "patch_status": lambda api: api.patch_status(POD, "ns", "pod", "1", {}),
    "merge": lambda api: api.merge(POD, "ns", "pod", {}),
    "delete": lambda api: api.delete(POD, "ns", "pod", "uid", 1),
}
UNGUARDED: dict[str, Request] = {
    "get": lambda api: api.get(POD, "ns", "pod"),
    "write_lease": lambda api: api.write_lease("ns", "lease", {"metadata": {}}, 1),
}


def answering(data: bytes, status: int = 200, **headers: str) -> Any:
    """A transport that knows one answer."""

    async def read() -> bytes:
        return data

    async def call_api(*_: Any) -> Any:
        return SimpleNamespace(status=status, headers=headers, read=read)

    return call_api


async def outcomes(
    monkeypatch: pytest.MonkeyPatch, requests: dict[str, Request], may_write: Callable[[], bool]
) -> dict[str, type[Exception] | None]:
    """Return what each request raised."""
    api = Api(Configuration(host=NOWHERE), may_write=may_write)
    monkeypatch.setattr(api._client, "call_api", answering(b"{}"))
    raised: dict[str, type[Exception] | None] = {}
    for name, request in requests.items():
        try:
            await request(api)
        except NotLeadingError as error:
            raised[name] = type(error)
        else:
            raised[name] = None
    await api.close()
    return raised


async def test_no_write_is_sent_without_the_lease(monkeypatch: pytest.MonkeyPatch) -> None:
    refused = await outcomes(monkeypatch, WRITES, lambda: False)
    assert refused == dict.fromkeys(WRITES, NotLeadingError)


async def test_the_guard_is_called_for_every_single_write(monkeypatch: pytest.MonkeyPatch) -> None:
    answers = iter([True, False, True, False, True])
    raised = await outcomes(monkeypatch, WRITES, lambda: next(answers))
    assert list(raised.values()) == [None, NotLeadingError, None, NotLeadingError, None]


async def test_reads_and_the_lease_need_no_lease(monkeypatch: pytest.MonkeyPatch) -> None:
    assert await outcomes(monkeypatch, UNGUARDED, lambda: False) == dict.fromkeys(UNGUARDED)


@pytest.mark.parametrize("data", [b"<html>sign in</html>", b"", b"[]", b"\xff"])
async def test_an_answer_that_is_no_json_object_is_an_error_of_the_api(
    monkeypatch: pytest.MonkeyPatch, data: bytes
) -> None:
    api = Api(Configuration(host=NOWHERE), may_write=lambda: False)
    monkeypatch.setattr(api._client, "call_api", answering(data))
    with pytest.raises(ApiError, match=r"GET .*/leases/lease: the answer is not a JSON object") as raised:
        await api.get(LEASE, "ns", "lease")
    assert not raised.value.is_refusal
    await api.close()


STATUS = b'{"kind": "Status", "message": "leases is forbidden", "reason": "Forbidden"}'


@pytest.mark.parametrize(
    ("status", "data", "kind", "is_refusal", "message"),
    [
        (403, STATUS, ApiError, True, "403 leases is forbidden"),
        (404, STATUS, NotFoundError, True, "404 leases is forbidden"),
        (409, STATUS, ConflictError, True, "409 leases is forbidden"),
        (410, STATUS, GoneError, True, "410 leases is forbidden"),
        (429, STATUS, ApiError, False, "429 leases is forbidden"),
        (502, b"<html>bad gateway</html>", ApiError, False, "502 <html>bad gateway</html>"),
        (500, b"[]", ApiError, False, r"500 \[\]"),
    ],
)
async def test_an_error_has_the_status_and_message_of_the_server(
    monkeypatch: pytest.MonkeyPatch, status: int, data: bytes, kind: type[ApiError], is_refusal: bool, message: str
) -> None:
    api = Api(Configuration(host=NOWHERE), may_write=lambda: False)
    monkeypatch.setattr(api._client, "call_api", answering(data, status, **{"Retry-After": "7"}))
    with pytest.raises(ApiError, match=message) as raised:
        await api.get(LEASE, "ns", "lease")
    assert type(raised.value) is kind
    assert (raised.value.status, raised.value.is_refusal, raised.value.retry_after_s) == (status, is_refusal, 7)
    await api.close()


async def test_a_server_that_does_not_answer_in_time_is_an_error_that_names_the_limit(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def never(*_: Any) -> Any:
        await asyncio.Event().wait()

    api = Api(Configuration(host=NOWHERE), may_write=lambda: False)
    monkeypatch.setattr(api._client, "call_api", never)
    with pytest.raises(ApiError, match=r"no answer from the API server: timed out after 0\.01 s") as raised:
        await api.write_lease("ns", "lease", {"metadata": {}}, 0.01)
    assert (raised.value.status, raised.value.is_refusal) == (0, False)
    await api.close()
