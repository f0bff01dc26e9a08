"""The messages of /ws and their bytes."""

import msgspec
import pytest
from marketstream.api.live.messages import MOST_STREAMS, BadMessageError, Ping, Pong, Subscribe, Wanted, frame, request
from websockets.client import ClientProtocol
from websockets.frames import Frame, Opcode
from websockets.protocol import OPEN
from websockets.uri import parse_uri


@pytest.mark.parametrize("size", [0, 100, 125, 126, 127, 65_535, 65_536, 200_000])
def test_a_frame_is_what_a_client_understands(size: int) -> None:
    client = ClientProtocol(parse_uri("ws://localhost/"), state=OPEN, max_size=None)
    text = "x" * size
    client.receive_data(frame(text) + frame("next"))
    first, second = client.events_received()
    assert isinstance(first, Frame)
    assert isinstance(second, Frame)
    assert first.opcode is Opcode.TEXT
    assert msgspec.json.decode(first.data) == text
    assert msgspec.json.decode(second.data) == "next"


def test_requests() -> None:
    assert request('{"type":"subscribe","streams":[{"symbol":"BTCUSDT","interval":"1m"}]}') == Subscribe(
        [Wanted("BTCUSDT", "1m")]
    )
    assert request(b'{"type":"ping"}') == Ping()
    assert frame(Pong()).endswith(b'{"type":"pong"}')


@pytest.mark.parametrize(
    "text", ["", "[]", "{}", '{"type":"ping","x":1}', '{"type":"subscribe","streams":[{"symbol":""}]}', b"\xff"]
)
def test_an_invalid_request_is_refused_with_the_expected_form(text: str | bytes) -> None:
    with pytest.raises(BadMessageError, match=r'expected \{"type": "subscribe"'):
        request(text)


@pytest.mark.parametrize("kind", ["subscribe", "unsubscribe"])
def test_a_message_has_at_most_as_many_streams_as_a_client(kind: str) -> None:
    message = {"type": kind, "streams": [{"symbol": "BTCUSDT"}] * MOST_STREAMS}
    request(msgspec.json.encode(message))
    message["streams"] = [{"symbol": "BTCUSDT"}] * (MOST_STREAMS + 1)
    with pytest.raises(BadMessageError, match=f"length <= {MOST_STREAMS} - at `\\$.streams`"):
        request(msgspec.json.encode(message))
