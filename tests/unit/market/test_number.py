from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from marketstream.market.errors import NumberError
from marketstream.market.number import (
    MAX_SCALE,
    MAX_VALUE,
    decimal_text,
    parse,
    rescale,
    to_text,
)

from tests.harness.amounts import to_decimal

VALUES = st.integers(0, MAX_VALUE)
SCALES = st.integers(0, MAX_SCALE)


@given(VALUES, SCALES)
def test_text_and_scaled_integer_are_the_same_number_as_decimal(value: int, scale: int) -> None:
    text = to_text(value, scale)
    assert Decimal(text) == to_decimal(value, scale) == Decimal(value).scaleb(-scale)
    parsed, least = parse(text)
    assert to_decimal(parsed, least) == Decimal(text)
    assert rescale(parsed, least, scale) == value


@given(VALUES, SCALES, st.integers(0, 6))
def test_trailing_zeros_change_nothing(value: int, scale: int, zeros: int) -> None:
    text = to_text(value, scale)
    padded = (text if "." in text else text + ".0") + "0" * zeros
    assert parse(padded) == parse(text)


@given(st.integers(-MAX_VALUE, MAX_VALUE), SCALES)
def test_text_is_plain_and_without_trailing_zeros(value: int, scale: int) -> None:
    text = to_text(value, scale)
    assert "e" not in text.lower()
    assert "." not in text or text[-1] not in "0."
    assert text == decimal_text(to_decimal(value, scale))


@given(st.integers(0, 2**40), SCALES, SCALES)
def test_rescaling_keeps_the_amount_or_refuses(value: int, scale: int, to: int) -> None:
    if to < scale:
        with pytest.raises(NumberError, match="without losing digits"):
            rescale(value, scale, to)
    else:
        assert to_decimal(rescale(value, scale, to), to) == to_decimal(value, scale)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("39432.48000000", (3943248, 2)),
        ("0.00026300", (263, 6)),
        ("0", (0, 0)),
        ("0.000", (0, 0)),
        ("007.50", (75, 1)),
        ("0.000000000000000001", (1, 18)),
        ("9223372036854775807", (MAX_VALUE, 0)),
    ],
)
def test_parse(text: str, expected: tuple[int, int]) -> None:
    assert parse(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        "", " 1", "1 ", "-1", "+1", "1e3", "1.", ".5", "1.2.3", "1,5", "1_000", "NaN", "Infinity", "٣", "1\n",
        "0.0000000000000000001", "9223372036854775808", "92233720368547758.08",
    ],
)  # fmt: skip
def test_what_is_no_plain_number_is_refused(text: str) -> None:
    with pytest.raises(NumberError, match=r"plain decimal number|too many digits"):
        parse(text)
