from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from marketstream.exchanges.replay import dump
from marketstream.exchanges.replay.dump import Dump


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("dump") / "file.csv"


@given(
    st.lists(st.binary(max_size=40).map(lambda line: line.translate(None, b"\r\n"))), st.integers(1, 50), st.booleans()
)
def test_blocks_are_whole_lines_in_order_with_their_offsets(
    path: Path, lines: list[bytes], block_bytes: int, ended: bool
) -> None:
    content = b"\n".join(lines) + b"\n" * ended
    path.write_bytes(content)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(dump, "BLOCK_BYTES", block_bytes)
        blocks = list(Dump(path).blocks())
    assert b"".join(block.data for block in blocks) == content
    for block in blocks:
        assert content[block.offset :].startswith(block.data)
        assert block.line == content[: block.offset].count(b"\n") + 1
    assert all(block.data.endswith(b"\n") for block in blocks[:-1])


def test_reading_starts_at_the_given_offset(path: Path) -> None:
    path.write_bytes(b"one\ntwo\nthree\n")
    (block,) = Dump(path).blocks(offset=4, line=2)
    assert block == (4, 2, b"two\nthree\n")


def test_a_line_without_end_is_not_held_in_memory(path: Path) -> None:
    path.write_bytes(bytes(5_000_000))
    assert max(len(block.data) for block in Dump(path).blocks()) < 1_200_000
