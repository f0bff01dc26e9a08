"""Files of public trade dumps: .csv, or .zip with a single .csv inside, read in blocks of whole lines."""

import contextlib
import zipfile
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path, PurePosixPath
from typing import IO, Final, NamedTuple

from marketstream.exchanges.errors import RecordingError
from marketstream.exchanges.replay.dump_parser import BYTE_ORDER_MARK, is_header
from marketstream.exchanges.replay.layouts import COIN_SYMBOL, LAYOUTS, Layout, is_coin_margined, layout_of

BLOCK_BYTES: Final = 64 * 1024
"""About 900 lines: enough for parsing at C speed, and few enough to block the event loop for 2 ms at most."""

_LONGEST_LINE: Final = 1024 * 1024
_HEAD_LINES: Final = 100


class Block(NamedTuple):
    """Whole lines of a file. The first line begins at `offset` (bytes) and has the number `line` (1-based)."""

    offset: int
    line: int
    data: bytes


class Dump:
    """One file of trades. The file is not kept open, and no more than a block is held in memory."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._layout: Layout | None = None

    def blocks(self, offset: int = 0, line: int = 1) -> Iterator[Block]:
        """Yield the lines of the file from `offset` on, which is the start of the line with the number `line`.

        To reach the offset, a .zip is decompressed from its beginning. Raises RecordingError if the file is unreadable.
        """
        with self._errors(), self._open() as file:
            file.seek(offset)
            yield from blocks_of(file.read, offset, line)

    @property
    def layout(self) -> Layout:
        """The layout of the rows, known by the columns and the header.

        Raises RecordingError if the file is unreadable, if none of its first lines is a trade, or if its quantities are
        contracts.
        """
        if self._layout is None:
            self._layout = self._read_layout()
        return self._layout

    def _read_layout(self) -> Layout:
        first = next(self.blocks(), None)
        data = first.data.removeprefix(BYTE_ORDER_MARK) if first else b""
        lines = [line.decode("utf-8", "replace") for line in data.split(b"\n")[: _HEAD_LINES + 1]]
        header = lines[0].split(",") if is_header(lines[0]) else []
        rows = [line.split(",") for line in lines[bool(header) :]]
        layout = layout_of(header, rows)
        if self._is_named_after_coins() or is_coin_margined(header, rows):
            raise RecordingError(
                f"{self.path} has trades of COIN-M futures: their quantities are numbers of contracts, not amounts of "
                f"the base currency, so volumes would be wrong. Trades of spot and of USD-M futures can be replayed"
            )
        if layout is None:
            expected = "; or ".join(",".join(each.header) for each in LAYOUTS)
            raise RecordingError(
                f"{self.path} is not a trade dump: it begins with {lines[0][:60]!r}, and none of its first "
                f"{_HEAD_LINES} lines has the columns {expected}"
            )
        return layout

    def _is_named_after_coins(self) -> bool:
        """Return True if the name is one of COIN-M: its aggregates have the columns of USD-M."""
        with self._errors():
            names = [self.path.name, *([self._member()] if self._is_zip else [])]
        return any(COIN_SYMBOL.match(PurePosixPath(name).name.removeprefix("binance-")) for name in names)

    @property
    def _is_zip(self) -> bool:
        return self.path.suffix.lower() == ".zip"

    def _member(self) -> str:
        with zipfile.ZipFile(self.path) as archive:
            return _member_of(self.path, archive)

    @contextlib.contextmanager
    def _open(self) -> Iterator[IO[bytes]]:
        if not self._is_zip:
            with self.path.open("rb") as file:
                yield file
            return
        with zipfile.ZipFile(self.path) as archive, archive.open(_member_of(self.path, archive)) as member:
            yield member

    @contextlib.contextmanager
    def _errors(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise RecordingError(f"cannot read the recording {self.path}: {error.strerror or error}") from error
        except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError) as error:
            raise RecordingError(f"{self.path} is damaged or not a readable .zip: {error}") from error


def blocks_of(read: Callable[[int], bytes], offset: int, line: int) -> Iterator[Block]:
    """Yield what `read` returns, given a number of bytes, as blocks of whole lines without carriage returns."""
    rest = b""
    while chunk := read(BLOCK_BYTES):
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
        yield Block(offset, line, rest.removesuffix(b"\r"))


def _member_of(path: Path, archive: zipfile.ZipFile) -> str:
    """Return the name of the only .csv, in any folder. Files that macOS adds to an archive do not count."""
    names = [each.filename for each in archive.infolist() if not each.is_dir() and _is_csv(each.filename)]
    if len(names) != 1:
        listed = f" ({', '.join(names[:5])})" if names else ""
        raise RecordingError(f"{path} contains {len(names)} .csv files{listed}: expected a .zip with exactly one")
    return names[0]


def _is_csv(name: str) -> bool:
    path = PurePosixPath(name)
    return path.suffix.lower() == ".csv" and "__MACOSX" not in path.parts and not path.name.startswith(".")
