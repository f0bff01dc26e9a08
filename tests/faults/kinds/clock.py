"""A wrong clock for one process: its own reads of the time are off by a number of seconds, which may change any time.

The machine's clock stays right, so the servers and the test see the difference. The monotonic clock is not affected, as
on a machine whose clock is set.
"""

import mmap
import os
import struct
import time
from pathlib import Path

_FORM = "<q"


class Clock:
    """The error of one service's clock. It outlives the service's processes."""

    def __init__(self, path: Path) -> None:
        self.path = path
        path.write_bytes(bytes(struct.calcsize(_FORM)))

    def set(self, seconds: int) -> None:
        """Let the clock be ahead by this number of seconds, or behind if it is negative."""
        with self.path.open("r+b") as file:
            file.write(struct.pack(_FORM, seconds * 10**9))


def install(path: Path) -> None:
    """Add the error in the file to every later read of the time. Call this before all other imports.

    The C code of aiokafka reads the time by itself, so that its Python code is used instead.
    """
    os.environ["AIOKAFKA_NO_EXTENSIONS"] = "1"
    with path.open("r+b") as file:
        error = mmap.mmap(file.fileno(), struct.calcsize(_FORM))
    true_ns = time.time_ns

    def time_ns() -> int:
        ahead: int = struct.unpack_from(_FORM, error)[0]
        return true_ns() + ahead

    time.time_ns = time_ns
    time.time = lambda: time_ns() / 1e9
