"""Files of public trade dumps: .csv, or .zip with a single .csv inside, read in blocks of whole lines."""

import contextlib
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Final, NamedTuple

from marketstream.exchanges.errors import RecordingError
from marketstream.exchanges.replay.dump_parser import COLUMNS, DumpParser

BLOCK_BYTES: Final = 64 * 1024
"""About 900 lines: enough for parsing at C speed, and few enough to block the event loop for 2 ms at most."""

_LONGEST_LINE: Final = 1024 * 1024
_HEAD_LINES: Final = 10


class Block(NamedTuple):
    """Whole lines of a file. The first line begins at `offset` (bytes) and has the number `line` (1-based)."""

    offset: int
    line: int
    data: bytes


class Dump:
    """One file of trades. The file is not kept open, and no more than a block is held in memory."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def blocks(self, offset: int = 0, line: int = 1) -> Iterator[Block]:
        """Yield the lines of the file from `offset` on, which is the start of the line with the number `line`.

        To reach the offset, a .zip is decompressed from its beginning. Raises RecordingError if the file is unreadable.
        """
        with self._errors(), self._open() as file:
            file.seek(offset)
            rest = b""
            while chunk := file.read(BLOCK_BYTES):
                data = rest + chunk
                end = data.rfind(b"\n") + 1
                if not end and len(data) > _LONGEST_LINE:
                    end = len(data)  # no dump has such a line: refuse it in pieces rather than hold it in memory
                rest = data[end:]
                if end:
                    block = data[:end].replace(b"\r\n", b"\n")
                    yield Block(offset, line, block)
                    offset, line = offset + end, line + block.count(b"\n")
            if rest:
                yield Block(offset, line, rest)

    def check(self, now_us: int) -> None:
        """Raise RecordingError if the file is unreadable, or if none of its first lines is a trade."""
        head = next(self.blocks(), None)
        lines = head.data.split(b"\n")[: _HEAD_LINES + 1] if head else []
        if not DumpParser(lambda *_: None, now_us).parse(b"\n".join(lines), 1):
            begins = lines[0][:60].decode("utf-8", "replace") if lines else ""
            raise RecordingError(
                f"{self.path} is not a trade dump: it begins with {begins!r}, and none of its first {_HEAD_LINES} "
                f"lines has the columns {COLUMNS}"
            )

    @contextlib.contextmanager
    def _open(self) -> Iterator[IO[bytes]]:
        if self.path.suffix.lower() != ".zip":
            with self.path.open("rb") as file:
                yield file
            return
        with zipfile.ZipFile(self.path) as archive:
            names = [name for name in archive.namelist() if name.endswith(".csv")]
            if len(names) != 1:
                raise RecordingError(f"{self.path} contains {len(names)} .csv files: expected a .zip with exactly one")
            with archive.open(names[0]) as member:
                yield member

    @contextlib.contextmanager
    def _errors(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise RecordingError(f"cannot read the recording {self.path}: {error.strerror or error}") from error
        except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError) as error:
            raise RecordingError(f"{self.path} is damaged or not a readable .zip: {error}") from error
