"""An event loop in which waiting takes no time: if nothing is left to do, its clock advances to the next timer."""

import asyncio
import functools
import selectors
from collections.abc import Callable, Coroutine
from typing import Any

from tests.harness.scenarios import EPOCH


class _Selector(selectors.DefaultSelector):
    passed_s = 0.0

    def select(self, timeout: float | None = None) -> Any:
        assert timeout is not None, "everything waits, and nothing will ever happen"
        self.passed_s += max(timeout, 0.0)
        return super().select(0)


class _Loop(asyncio.SelectorEventLoop):
    def __init__(self) -> None:
        self._virtual = _Selector()
        super().__init__(self._virtual)

    def time(self) -> float:
        return self._virtual.passed_s


class VirtualClock:
    """Replaces the module `time`; its time begins at EPOCH."""

    @staticmethod
    def monotonic() -> float:
        return asyncio.get_running_loop().time()

    @staticmethod
    def time_ns() -> int:
        return EPOCH * 1_000 + int(asyncio.get_running_loop().time() * 1e9)


def now_us() -> int:
    """Return the virtual time in Unix µs."""
    return VirtualClock.time_ns() // 1_000


def virtually(test: Callable[..., Coroutine[Any, Any, None]]) -> Callable[..., None]:
    """Run an async test in virtual time."""

    @functools.wraps(test)
    def run(*arguments: Any, **named: Any) -> None:
        with asyncio.Runner(loop_factory=_Loop) as runner:
            runner.run(test(*arguments, **named))

    return run


async def seconds_until(condition: Callable[[], object], limit_s: float) -> float:
    """Wait until the condition holds, and return the time of that. Fail after `limit_s` seconds."""
    async with asyncio.timeout(limit_s):
        while not condition():  # noqa: ASYNC110  in virtual time this costs nothing
            await asyncio.sleep(0.05)
    return VirtualClock.monotonic()
