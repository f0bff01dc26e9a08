"""When a status is written."""

from typing import Any

import msgspec
import pytest
from marketstream_operator.desired import Pair
from marketstream_operator.report import _is_news, as_json
from marketstream_operator.status import View, status_of


def test_a_status_is_compared_as_the_api_server_tells_it() -> None:
    """Otherwise the same status would be written again and again."""
    view = View(generation=1, pairs=(Pair("a", ("AAA",)), Pair("b", ("BBB",))))
    written = as_json(status_of(view, {}, "2026-03-01T12:00:00Z"))
    assert isinstance(written["conditions"], list)
    assert isinstance(written["symbols"], list)
    assert written == msgspec.json.decode(msgspec.json.encode(written))


def said(message: str) -> dict[str, Any]:
    return {"conditions": [{"type": "Degraded", "status": "True", "reason": "PodFailed", "message": message}]}


@pytest.mark.parametrize("fraction", ["", ".5", ".123456"])
def test_times_in_a_message_are_no_news(fraction: str) -> None:
    """The log lines of the services tell them to the microsecond."""
    before, after = said(f"at 2026-03-01T12:00:00{fraction}Z: it fails"), said("at 2026-03-01T12:00:59.75Z: it fails")
    assert not _is_news(after, before)
    assert _is_news(said(f"at 2026-03-01T12:00:00{fraction}Z: it fails otherwise"), before)
