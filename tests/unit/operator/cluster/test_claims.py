"""The owner of a symbol that several MarketStreams claim."""

from collections.abc import Iterable

from hypothesis import given
from hypothesis import strategies as st
from marketstream_operator.cluster.claims import Claimant, Claims
from marketstream_operator.names import StreamKey

BTC, ETH = ("binance", "BTCUSDT"), ("binance", "ETHUSDT")
OLD = Claimant("2026-01-01T00:00:00Z", "b", StreamKey("one", "old"))
TIE = Claimant("2026-01-01T00:00:00Z", "c", StreamKey("two", "tie"))
NEW = Claimant("2026-01-01T00:00:01Z", "a", StreamKey("one", "new"))


def test_the_oldest_owns_a_symbol_and_of_two_as_old_the_one_of_lesser_uid() -> None:
    claims = Claims()
    for claimant in (NEW, TIE, OLD):
        claims.claim(claimant, [BTC])
    assert claims.owner(BTC) == OLD.key
    assert claims.drop(OLD.key) == {TIE.key, NEW.key}
    assert claims.owner(BTC) == TIE.key


def test_who_else_asks_hears_of_a_change() -> None:
    claims = Claims()
    assert claims.claim(NEW, [BTC, ETH]) == set()
    assert claims.claim(OLD, [BTC]) == {NEW.key}
    assert claims.claim(OLD, [BTC]) == set()
    assert claims.claim(OLD, []) == {NEW.key}
    assert claims.owner(BTC) == NEW.key
    assert claims.owner(("binance", "SOLUSDT")) is None


@given(st.lists(st.tuples(st.sampled_from([OLD, TIE, NEW]), st.sets(st.sampled_from([BTC, ETH])))))
def test_owners_follow_from_the_last_claim_of_each(steps: list[tuple[Claimant, Iterable[tuple[str, str]]]]) -> None:
    claims, last = Claims(), {}
    for claimant, symbols in steps:
        claims.claim(claimant, symbols)
        last[claimant] = symbols
    for symbol in (BTC, ETH):
        asking = sorted(claimant for claimant, symbols in last.items() if symbol in symbols)
        assert claims.owner(symbol) == (asking[0].key if asking else None)
