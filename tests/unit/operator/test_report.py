"""When a status is written."""

import msgspec
from marketstream_operator.desired import Pair
from marketstream_operator.report import as_json
from marketstream_operator.status import View, status_of


def test_a_status_is_compared_as_the_api_server_tells_it() -> None:
    """Otherwise the same status would be written again and again."""
    view = View(generation=1, pairs=(Pair("a", ("AAA",)), Pair("b", ("BBB",))))
    written = as_json(status_of(view, {}, "2026-03-01T12:00:00Z"))
    assert isinstance(written["conditions"], list)
    assert isinstance(written["symbols"], list)
    assert written == msgspec.json.decode(msgspec.json.encode(written))
