import pytest
from hypothesis import given
from hypothesis import strategies as st
from marketstream.exchanges.binance.scales import Scale
from marketstream.market.errors import NumberError
from marketstream.market.number import parse, rescale


def test_a_symbols_amounts_are_all_at_the_scale_of_its_step() -> None:
    price = Scale.of_step("0.01000000")
    assert price.read_all(["39432.48000000", "39430.00000000", "1", "7.5"]) == [3943248, 3943000, 100, 750]
    assert price.places == 2
    assert price.read_all([]) == []


def test_more_places_widen_the_scale_for_all_that_follow() -> None:
    price = Scale(2)
    assert price.read_all(["1.00000000", "1.00100000"]) == [1000, 1001]
    assert price.read_all(["1.00000000"]) == [1000]
    assert price.read_all(["0.1234567890"]) == [123456789]
    assert price.places == 9
    assert price.read_all(["1.00000000"]) == [1_000_000_000]


@pytest.mark.parametrize(
    "text",
    ["", ".12345678", "-1.00000000", "1e3", "+1.00000000", "1_0.00000000", "\u0661.00000000", "1,5", "nan", "9" * 20],
)
def test_an_invalid_number_is_refused_and_changes_nothing(text: str) -> None:
    price = Scale(2)
    with pytest.raises(NumberError):
        price.read_all(["1.00000000", text])
    assert price.places == 2


@given(st.lists(st.from_regex(r"[0-9]{1,9}(\.[0-9]{1,9})?", fullmatch=True), min_size=1), st.integers(0, 8))
def test_reading_is_exact(texts: list[str], places: int) -> None:
    scale = Scale(places)
    values = scale.read_all(texts)
    for text, value in zip(texts, values, strict=True):
        number, least = parse(text)
        assert value == rescale(number, least, scale.places)
