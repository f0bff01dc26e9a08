"""Writes side by side: which of them are still made when one fails."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator

import pytest
from marketstream_operator.cluster.apply import PARALLEL_WRITES, write_all
from marketstream_operator.kube.api import ApiError, ConflictError, NotLeadingError


class Writes:
    """So many writes, of which some fail."""

    def __init__(self, count: int, **failing: Exception) -> None:
        self.begun: list[int] = []
        self.most = self.under_way = 0
        self._count, self._failing = count, failing

    def __iter__(self) -> Iterator[Callable[[], Awaitable[None]]]:
        return (self._write(number) for number in range(self._count))

    def _write(self, number: int) -> Callable[[], Awaitable[None]]:
        async def write() -> None:
            self.begun.append(number)
            self.under_way += 1
            self.most = max(self.most, self.under_way)
            await asyncio.sleep(0)
            self.under_way -= 1
            if error := self._failing.get(f"n{number}"):
                raise error

        return write


async def test_a_few_are_under_way_at_the_same_time() -> None:
    writes = Writes(50)
    await write_all(writes)
    assert sorted(writes.begun) == list(range(50))
    assert writes.most == PARALLEL_WRITES


@pytest.mark.parametrize("status", [400, 403, 409, 422])
async def test_one_that_is_refused_keeps_no_other_from_being_made(status: int) -> None:
    writes = Writes(50, n0=ApiError("refused", status), n7=ConflictError("changed", 409))
    with pytest.raises(ApiError, match="refused"):
        await write_all(writes)
    assert len(writes.begun) == 50


@pytest.mark.parametrize(
    "error", [ApiError("no answer"), ApiError("throttled", 429), ApiError("broken", 500), NotLeadingError("lost")]
)
async def test_no_more_are_begun_when_none_can_be_made(error: Exception) -> None:
    writes = Writes(50, n3=error)
    with pytest.raises(type(error)):
        await write_all(writes)
    assert len(writes.begun) <= 2 * PARALLEL_WRITES


async def test_a_bug_is_no_failure_of_the_api() -> None:
    with pytest.raises(ExceptionGroup):
        await write_all(Writes(3, n1=KeyError("bug")))
