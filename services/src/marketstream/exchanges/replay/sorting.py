"""Sorting of rows that do not fit in memory: sorted runs in temporary files, merged into one."""

import os
import tempfile
from collections.abc import Iterable, Iterator
from heapq import merge
from typing import IO, Final

from marketstream.exchanges.errors import RecordingError
from marketstream.exchanges.replay.dump import Block, blocks_of

RUN_BYTES: Final = 16 * 1024 * 1024
"""Size of a run, which is sorted in memory: about 150,000 rows."""

MOST_RUNS: Final = 32
"""Maximum number of runs, each an open file. Beyond it, they are merged into one."""

_STEP: Final = 2_000
"""Rows between two steps of the work, so that other tasks run meanwhile."""

_KEY_DIGITS: Final = 20


class SortedRows:
    """Rows in the order of their times and ids, in temporary files that are removed when the process ends."""

    def __init__(self) -> None:
        self._held: list[bytes] = []
        self._held_bytes = 0
        self._runs: list[IO[bytes]] = []
        self._result: IO[bytes] | None = None

    def add(self, times: Iterable[int], ids: Iterable[int], texts: Iterable[str]) -> None:
        """Add rows by their times (Unix µs), ids and texts. Raise RecordingError if there is no space for them."""
        # Numbers of a fixed width sort as bytes, which needs no call for each comparison.
        rows = [f"{time:020}{id_:020}{text}\n".encode() for time, id_, text in zip(times, ids, texts, strict=True)]
        self._held += rows
        self._held_bytes += sum(map(len, rows))
        if self._held_bytes >= RUN_BYTES:
            self._spill()

    def merge(self) -> Iterator[None]:
        """Sort all rows, step by step: the caller continues the iteration until its end, and then reads the blocks.

        Raises RecordingError if there is no space for the rows.
        """
        if self._held:
            self._spill()
        while len(self._runs) > MOST_RUNS:
            some, self._runs = self._runs[:MOST_RUNS], self._runs[MOST_RUNS:]
            merged = _file()
            yield from _merge(some, merged, 0)
            self._runs.append(merged)
        self._result = _file()
        yield from _merge(self._runs, self._result, 2 * _KEY_DIGITS)
        self._runs = []

    def blocks(self, offset: int = 0, line: int = 1) -> Iterator[Block]:
        """Yield the sorted rows starting at `offset`, as `Dump.blocks` does."""
        if self._result is None:
            raise RuntimeError("the rows are not sorted yet: merge them first")
        descriptor, position = self._result.fileno(), offset

        def read(size: int) -> bytes:
            nonlocal position
            data = os.pread(descriptor, size, position)
            position += len(data)
            return data

        yield from blocks_of(read, offset, line)

    def close(self) -> None:
        """Remove the files."""
        for file in (*self._runs, *filter(None, [self._result])):
            file.close()

    def _spill(self) -> None:
        run = _file()
        self._held.sort()
        _write(run, self._held)
        run.seek(0)
        self._runs.append(run)
        self._held, self._held_bytes = [], 0


def _file() -> IO[bytes]:
    try:
        return tempfile.TemporaryFile(prefix="marketstream-")
    except OSError as error:
        raise _no_space(error) from error


def _merge(runs: list[IO[bytes]], into: IO[bytes], cut: int) -> Iterator[None]:
    """Write the rows of all runs in order, each without its first `cut` bytes, and close the runs."""
    rows: list[bytes] = []
    for row in merge(*runs):
        rows.append(row[cut:])
        if len(rows) == _STEP:
            _write(into, rows)
            rows = []
            yield
    _write(into, rows)
    into.seek(0)
    for run in runs:
        run.close()


def _write(file: IO[bytes], rows: list[bytes]) -> None:
    try:
        file.writelines(rows)
        file.flush()
    except OSError as error:
        raise _no_space(error) from error


def _no_space(error: OSError) -> RecordingError:
    return RecordingError(
        f"cannot sort the rows of the recording in {tempfile.gettempdir()} ({error.strerror or error}): it needs as "
        f"much space as three times the file; set TMPDIR to a directory that has it"
    )
