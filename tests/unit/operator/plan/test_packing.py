"""The packing of symbols into pairs."""

from hypothesis import given
from hypothesis import strategies as st
from marketstream_operator.names import pair_of_symbol
from marketstream_operator.plan.packing import pack

SYMBOLS = st.lists(st.sampled_from([f"S{n}" for n in range(30)]), unique=True, min_size=1)


def test_alone_a_symbol_has_a_pair_that_is_named_after_it() -> None:
    packing = pack(["BTCUSDT", "ETH/USDT"], 1, {"p0": ["BTCUSDT"]})
    assert packing == {pair_of_symbol("BTCUSDT"): ("BTCUSDT",), pair_of_symbol("ETH/USDT"): ("ETH/USDT",)}
    assert pair_of_symbol("BTCUSDT").startswith("btcusdt-")


def test_names_that_look_alike_are_told_apart() -> None:
    assert pair_of_symbol("ETH/USDT") != pair_of_symbol("ETH-USDT")
    assert pair_of_symbol("ETH/USDT").startswith("eth-usdt-")


def test_a_new_symbol_goes_to_the_lowest_pair_with_room() -> None:
    live = {"p0": ["A", "B"], "p1": ["C"], "p3": ["D"]}
    assert pack(["A", "C", "D", "NEW", "OTHER"], 2, live) == {"p0": ("A", "NEW"), "p1": ("C", "OTHER"), "p3": ("D",)}


def test_a_pair_whose_symbols_are_all_gone_is_used_again_only_when_needed() -> None:
    assert pack(["D"], 2, {"p0": ["A"], "p3": ["D"]}) == {"p3": ("D",)}
    assert pack(["D", "E", "F"], 2, {"p3": ["D"]}) == {"p0": ("E", "F"), "p3": ("D",)}


@given(SYMBOLS, SYMBOLS, st.integers(2, 7), st.integers(2, 7))
def test_whatever_changes_no_symbol_moves_and_each_has_one_pair(
    before: list[str], after: list[str], per_pair: int, other: int
) -> None:
    live = pack(before, per_pair, {})
    packing = pack(after, other, live)
    assert sorted(symbol for pair in packing.values() for symbol in pair) == sorted(after)
    home = {symbol: name for name, pair in live.items() for symbol in pair}
    for name, pair in packing.items():
        stayed = [symbol for symbol in pair if home.get(symbol) == name]
        assert all(symbol in stayed or symbol not in home for symbol in pair)
        assert len(pair) <= max(other, len(stayed))
    assert pack(after, other, packing) == packing


@given(SYMBOLS, st.integers(2, 7))
def test_packed_anew_only_the_last_pair_has_room(symbols: list[str], per_pair: int) -> None:
    sizes = [len(pair) for pair in pack(symbols, per_pair, {}).values()]
    assert sizes[:-1] == [per_pair] * (len(sizes) - 1)
