"""Sorting of rows beyond memory."""

import random
import tempfile
import tracemalloc

import pytest
from hypothesis import given
from hypothesis import strategies as st
from marketstream.exchanges.errors import RecordingError
from marketstream.exchanges.replay import sorting
from marketstream.exchanges.replay.sorting import SortedRows

ROWS = 300_000


def lines_of(rows: SortedRows) -> list[bytes]:
    return b"".join(block.data for block in rows.blocks()).splitlines()


@given(st.lists(st.tuples(st.integers(0, 2**62), st.integers(0, 2**62))), st.integers(1, 200), st.integers(2, 4))
def test_rows_are_in_order_of_time_and_id(keys: list[tuple[int, int]], run_bytes: int, most_runs: int) -> None:
    rows = SortedRows()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sorting, "RUN_BYTES", run_bytes)
        patch.setattr(sorting, "MOST_RUNS", most_runs)
        for time, id_ in keys:
            rows.add([time], [id_], [f"{time} {id_}"])
        for _ in rows.merge():
            pass
    assert lines_of(rows) == [f"{time} {id_}".encode() for time, id_ in sorted(keys)]
    rows.close()


def test_many_rows_are_sorted_in_little_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sorting, "RUN_BYTES", 512 * 1024)
    ids = random.Random(5).sample(range(10**9), ROWS)
    rows = SortedRows()
    tracemalloc.start()
    try:
        for start in range(0, ROWS, 1000):
            some = ids[start : start + 1000]
            rows.add(some, some, (f"{id_},1.0,1.0,1.0,1610064000278,True,True" for id_ in some))
        for _ in rows.merge():
            pass
        read = 0
        last = -1
        for block in rows.blocks():
            found = [int(line.partition(b",")[0]) for line in block.data.splitlines()]
            assert found == sorted(found)
            assert found[0] > last
            last, read = found[-1], read + len(found)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
        rows.close()
    assert read == ROWS
    assert peak < 8 * 1024 * 1024  # the rows themselves, as text, take 24 MiB


def test_reading_starts_at_the_offset_of_any_block() -> None:
    rows = SortedRows()
    rows.add(range(9, -1, -1), range(9, -1, -1), [f"row {n}" for n in range(9, -1, -1)])
    for _ in rows.merge():
        pass
    (block,) = rows.blocks(6 * 4, 5)
    assert block == (24, 5, b"".join(b"row %d\n" % n for n in range(4, 10)))
    rows.close()


def test_a_full_disk_is_a_clear_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", "/nowhere")
    rows = SortedRows()
    rows.add([1], [1], ["row"])
    with pytest.raises(RecordingError, match=r"cannot sort .* in /nowhere .*set TMPDIR"):
        list(rows.merge())
