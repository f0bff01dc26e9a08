"""Answers that the API server would not give, but something on the way to it does."""

from types import SimpleNamespace
from typing import Any

import pytest
from kubernetes.aio.client.configuration import Configuration
from marketstream_operator.kinds import LEASE
from marketstream_operator.kube.api import Api, ApiError


def answering(data: bytes, status: int = 200) -> Any:
    """A transport that knows one answer."""

    async def read() -> bytes:
        return data

    async def call_api(*_: Any) -> Any:
        return SimpleNamespace(status=status, headers={}, read=read)

    return call_api


@pytest.mark.parametrize("data", [b"<html>sign in</html>", b"", b"[]", b"\xff"])
async def test_an_answer_that_is_no_json_object_is_an_error_of_the_api(
    monkeypatch: pytest.MonkeyPatch, data: bytes
) -> None:
    api = Api(Configuration(host="http://127.0.0.1:1"))
    monkeypatch.setattr(api._client, "call_api", answering(data))
    with pytest.raises(ApiError, match=r"GET .*/leases/lease: the answer is no JSON object") as raised:
        await api.get(LEASE, "ns", "lease")
    assert not raised.value.is_refusal
    await api.close()
