import pytest
from marketstream.exchanges.binance.messages import Answer, MessageError, ServerShutdown, TradeEvent, decode

from tests.unit.exchanges.binance.frames import NOW_US, trade_frame


def test_a_frame_becomes_a_trade() -> None:
    event = decode(trade_frame(), NOW_US + 1000)
    assert event == TradeEvent(
        "trade", NOW_US + 900, "BTCUSDT", 12345, "39432.48000000", "0.00026300", NOW_US, True, NOW_US + 1000
    )


def test_times_in_ms_become_us() -> None:
    event = decode(trade_frame(E=NOW_US // 1000 + 1, T=NOW_US // 1000), NOW_US)
    assert isinstance(event, TradeEvent)
    assert (event.event_us, event.time_us) == (NOW_US + 1000, NOW_US)


@pytest.mark.parametrize(
    ("frame", "message"),
    [
        (b'{"result":null,"id":7}', Answer(7, None, None)),
        (b'{"result":["btcusdt@trade"],"id":8}', Answer(8, ["btcusdt@trade"], None)),
        (b'{"error":{"code":2,"msg":"Invalid request"},"id":9}', Answer(9, None, "Invalid request (code 2)")),
        (b'{"code":3,"msg":"Invalid JSON"}', Answer(None, None, "Invalid JSON (code 3)")),
        (b'{"stream":"!serverShutdown","data":{"e":"serverShutdown","E":1770123456789}}', ServerShutdown()),
        (b'{"e":"serverShutdown","E":1770123456789}', ServerShutdown()),
    ],
)
def test_answers_and_shutdowns_are_recognized(frame: bytes, message: object) -> None:
    assert decode(frame, NOW_US) == message


@pytest.mark.parametrize(
    ("frame", "reason"),
    [
        (b"", "malformed"),
        (trade_frame()[:40], "malformed"),
        (b'{"data":{"e":"trade","s":"\xff"}}', "malformed"),
        (b"[]", "type"),
        (b'{"data":[]}', "type"),
        (trade_frame(t="12345"), "type"),
        (trade_frame(p=39432.48), "type"),
        (trade_frame(m=None), "type"),
        (trade_frame(e="aggTrade"), "type"),
        (trade_frame(T=2**70), "time"),
        (trade_frame(T=NOW_US * 1000, E=NOW_US * 1000), "time"),
        (trade_frame(E=NOW_US + 61_000_000), "time"),
        (trade_frame(T=-5), "time"),
    ],
)
def test_any_other_frame_is_refused_with_a_reason(frame: bytes, reason: str) -> None:
    with pytest.raises(MessageError) as refused:
        decode(frame, NOW_US)
    assert refused.value.reason == reason
