"""The parts of the operator, put together."""

import pytest
from kubernetes.aio.client.configuration import Configuration
from marketstream_operator.kinds import POD
from marketstream_operator.kube.api import ApiError, NotLeadingError
from marketstream_operator.main import Operator
from marketstream_operator.settings import OperatorSettings


async def test_the_operator_writes_only_while_it_holds_the_lease(monkeypatch: pytest.MonkeyPatch) -> None:
    operator = Operator(OperatorSettings(), Configuration(host="http://127.0.0.1:1"))
    with pytest.raises(NotLeadingError):
        await operator._api.create(POD, "ns", {})
    monkeypatch.setattr(operator._election, "holds", lambda: True)
    with pytest.raises(ApiError, match="no answer from the API server"):
        await operator._api.create(POD, "ns", {})
    await operator._api.close()
