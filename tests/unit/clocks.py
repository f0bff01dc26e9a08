"""Virtual time that only sleeping advances."""

import asyncio


class VirtualTime:
    """A clock (Unix µs) and a sleep, of which the sleep advances the clock."""

    def __init__(self, start_us: int = 1_790_000_000_000_000) -> None:
        self.us = start_us

    def now(self) -> int:
        return self.us

    async def sleep(self, seconds: float) -> None:
        self.us += round(seconds * 1_000_000)
        await asyncio.sleep(0)
