"""Durations as a spec writes them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from marketstream_operator.resource.durations import UNITS, Bounds, duration_s
from marketstream_operator.resource.errors import SpecError


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("60s", 60), ("5m", 300), ("24h", 86_400), ("7d", 604_800), ("1h30m", 5_400), ("1d1h1m1s", 90_061), ("0s", 0)],
)
def test_a_duration(text: str, seconds: int) -> None:
    assert duration_s(text) == seconds


@pytest.mark.parametrize("text", ["", "60", "s", "1.5h", "-1s", "1m1h", "1s ", " 1s", "1w", "1S", "٣s", "1s\n"])
def test_what_is_no_duration(text: str) -> None:
    with pytest.raises(SpecError, match=r"spec\.freshness\.maxAge: got .*, expected a duration .* as 60s, 5m"):
        duration_s(text, "spec.freshness.maxAge")


@given(st.lists(st.integers(0, 10**9 - 1), min_size=len(UNITS), max_size=len(UNITS)))
def test_a_duration_is_the_sum_of_its_parts(parts: list[int]) -> None:
    text = "".join(f"{part}{unit}" for part, unit in zip(parts, UNITS, strict=True))
    assert duration_s(text) == sum(part * seconds for part, seconds in zip(parts, UNITS.values(), strict=True))


@pytest.mark.parametrize("text", ["29s", "1h1s"])
def test_a_duration_out_of_bounds_is_rejected_with_both_bounds(text: str) -> None:
    with pytest.raises(SpecError, match=f"duration: got '{text}', expected a duration from 30s to 1h"):
        duration_s(text, bounds=Bounds("30s", "1h"))


@pytest.mark.parametrize("text", ["30s", "60m"])
def test_the_bounds_themselves_are_accepted(text: str) -> None:
    assert duration_s(text, bounds=Bounds("30s", "1h")) == duration_s(text)
