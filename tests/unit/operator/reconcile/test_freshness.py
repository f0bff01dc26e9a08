"""Freshness, rates and completeness from the live state that a processor writes to Redis."""

import asyncio
import contextlib
from collections.abc import Callable
from typing import Any

import pytest
from marketstream.redis.hashes import LiveStatus
from marketstream.settings import Settings
from marketstream_operator.names import StreamKey
from marketstream_operator.reconcile import freshness as module
from marketstream_operator.reconcile.freshness import POLL_S, FreshnessMonitor, Pulse
from redis.exceptions import ConnectionError as RedisAway
from redis.exceptions import NoPermissionError, RedisError, ResponseError
from structlog.testing import capture_logs

MAX_AGE_S = 60.0
START = 1_000_000.0


def heard(at: float, last_id: int | None = None, *, traded: float | None = None, **more: int) -> LiveStatus:
    return LiveStatus(heard_until=at, last_trade_time=at if traded is None else traded, last_trade_id=last_id, **more)


def verdicts(pulse: Pulse, *reads: LiveStatus | None, begin: float = START) -> list[bool | None]:
    """Return the verdict after each read; the reads are five seconds apart."""
    found = []
    for number, stream in enumerate(reads):
        pulse.read(stream, begin + number * POLL_S, MAX_AGE_S)
        found.append(pulse.reading.is_fresh)
    return found


def test_fresh_after_two_reads_that_say_so() -> None:
    assert verdicts(Pulse(START, starting=True), heard(START), heard(START + 5)) == [None, True]


def test_stale_after_two_reads_that_say_so_and_back() -> None:
    pulse = Pulse(START, starting=True)
    verdicts(pulse, heard(START), heard(START))
    old = heard(START)
    assert verdicts(pulse, old, old, begin=START + 61) == [True, False]
    assert verdicts(pulse, heard(START + 70), heard(START + 75), begin=START + 71) == [False, True]


def test_one_odd_read_turns_nothing() -> None:
    pulse = Pulse(START, starting=True)
    verdicts(pulse, heard(START), heard(START))
    now = START + 100
    assert verdicts(pulse, heard(START), heard(now), heard(START), heard(now), begin=now) == [True] * 4


def test_a_symbol_that_is_never_heard_of_is_stale_in_the_end() -> None:
    pulse = Pulse(START, starting=True)
    assert verdicts(pulse, None, None) == [None, None]
    assert verdicts(pulse, None, None, begin=START + 61) == [None, False]


def test_what_was_heard_before_a_pause_says_nothing_of_a_feed_that_begins_anew() -> None:
    before = heard(START - 500)
    assert verdicts(Pulse(START, starting=True), before, before, before) == [None, None, None]
    pulse = Pulse(START, starting=True)
    assert verdicts(pulse, before, heard(START + 4), heard(START + 9)) == [None, None, True]


def test_an_operator_that_starts_judges_what_runs_at_once() -> None:
    before = heard(START - 500)
    assert verdicts(Pulse(START, starting=False), before, before) == [None, False]


def test_quiet_is_a_feed_that_lives_without_trades() -> None:
    pulse = Pulse(START, starting=True)
    pulse.read(heard(START, traded=START - 61), START, MAX_AGE_S)
    assert pulse.reading.is_quiet
    pulse.read(heard(START, traded=START - 59), START, MAX_AGE_S)
    assert not pulse.reading.is_quiet


def test_ids_are_consecutive_so_their_difference_is_the_rate() -> None:
    pulse = Pulse(START, starting=True)
    for second in range(0, 121, 5):
        rate = 10 if second <= 60 else 40
        pulse.read(heard(START, 1_000 + rate * second), START + second, MAX_AGE_S)
        if second == 60:
            assert pulse.reading.trades_per_second == pytest.approx(10)
    verdicts(pulse, heard(START, 5))  # another exchange, or a restarted simulator
    assert pulse.reading.trades_per_second is None


@pytest.mark.parametrize(
    ("complete_until", "holes", "is_complete"),
    [(START, 0, True), (START - 30, 0, True), (START - 50, 0, False), (START, 1, False), (None, 0, False)],
)
def test_complete_without_holes_and_proven_up_to_now(
    complete_until: float | None, holes: int, is_complete: bool
) -> None:
    pulse = Pulse(START, starting=True)
    proven = None if complete_until is None else int(complete_until)
    pulse.read(LiveStatus(heard_until=START, complete_until=proven, open_holes=holes), START, MAX_AGE_S)
    assert pulse.reading.is_complete is is_complete


MAJORS, MINORS = StreamKey("market", "majors"), StreamKey("market", "minors")
URL = "redis://cache:6379/0"
HASH = {"heard_until": str(START), "last_trade_time": str(START)}


class Cache:
    """A Redis and its pipeline, with answers by symbol."""

    def __init__(self, **answers: Any) -> None:
        self.answers = answers
        self.away: Exception | None = None
        self.silent = False
        self.on_close: Callable[[], None] = lambda: None
        self.closed = False
        self._asked: list[str] = []

    def pipeline(self, *, transaction: bool) -> "Cache":  # noqa: ARG002
        self._asked = []
        return self

    def execute_command(self, _: str, key: str) -> None:
        self._asked.append(key.rsplit(":", 1)[1])

    async def execute(self, raise_on_error: bool = True) -> list[Any]:
        if self.silent:
            await asyncio.Event().wait()
        if self.away:
            raise self.away
        answers = [self.answers.get(symbol, {}) for symbol in self._asked]
        errors = [answer for answer in answers if isinstance(answer, RedisError)]
        if errors and raise_on_error:
            raise errors[0]
        return answers

    async def aclose(self) -> None:
        self.closed = True
        self.on_close()


@pytest.fixture
def caches(monkeypatch: pytest.MonkeyPatch) -> dict[str, Cache]:
    """The Redis of each URL."""
    found: dict[str, Cache] = {}
    monkeypatch.setattr(module, "connect", lambda settings: found.setdefault(settings.redis_url, Cache()))
    return found


def following(
    *streams: tuple[StreamKey, str], url: str = URL, changed: list[StreamKey] | None = None
) -> FreshnessMonitor:
    freshness = FreshnessMonitor((changed if changed is not None else []).append, lambda: START)
    for key, symbols in streams:
        follow(freshness, key, symbols, url)
    return freshness


def follow(freshness: FreshnessMonitor, key: StreamKey, symbols: str, url: str = URL) -> None:
    freshness.follow(key, Settings(redis_url=url), "simulator", symbols.split(), MAX_AGE_S, starting=False)


@pytest.mark.parametrize(
    ("bad", "said"),
    [
        ({"heard_until": "soon"}, "the hash stream:simulator:BBB in Redis holds data that no processor writes"),
        (ResponseError("WRONGTYPE of value"), "WRONGTYPE"),
        (NoPermissionError("NOPERM this key"), "NOPERM"),
    ],
)
async def test_a_key_of_another_kind_concerns_its_own_symbol_only(
    caches: dict[str, Cache], bad: Any, said: str
) -> None:
    caches[URL] = Cache(AAA=HASH, BBB=bad, CCC=HASH)
    changed: list[StreamKey] = []
    freshness = following((MAJORS, "AAA BBB"), (MINORS, "CCC"), changed=changed)
    with capture_logs() as lines:
        for _ in range(3):
            await freshness.read_once()
    majors, minors = freshness.readings(MAJORS), freshness.readings(MINORS)
    assert (majors["AAA"].is_fresh, majors["BBB"].is_fresh, minors["CCC"].is_fresh) == (True, None, True)
    assert (freshness.is_unavailable(MAJORS), freshness.is_unavailable(MINORS)) == (False, False)
    assert said in freshness.problem(MAJORS)
    assert freshness.problem(MINORS) == ""
    assert [said in line["error"] for line in lines] == [True]
    caches[URL].answers["BBB"] = HASH
    changed.clear()
    await freshness.read_once()
    assert freshness.problem(MAJORS) == ""
    assert changed == [MAJORS]


async def test_a_stream_of_which_redis_tells_nothing_says_why(caches: dict[str, Cache]) -> None:
    caches[URL] = Cache(AAA=NoPermissionError("NOPERM"), CCC=HASH)
    freshness = following((MAJORS, "AAA"), (MINORS, "CCC"))
    await freshness.read_once()
    assert (freshness.is_unavailable(MAJORS), freshness.is_unavailable(MINORS)) == (True, False)
    assert "NOPERM" in freshness.problem(MAJORS)
    follow(freshness, MAJORS, "AAA")
    assert "NOPERM" in freshness.problem(MAJORS)


async def test_a_redis_url_that_cannot_be_used_concerns_its_own_stream_only() -> None:
    unusable = following((MAJORS, "AAA"), url="redis://cache:6379/0?nonsense=1")
    follow(unusable, MINORS, "BBB", "redis://127.0.0.1:1/0")
    with capture_logs() as lines:
        for _ in range(2):
            await unusable.read_once()
    assert unusable.problem(MAJORS).startswith("REDIS_URL has the parameter nonsense, which is unknown")
    assert unusable.problem(MINORS).startswith("Redis is unavailable: ")
    assert (unusable.is_unavailable(MAJORS), unusable.is_unavailable(MINORS)) == (True, True)
    assert [line["event"] for line in lines] == ["freshness not read, will retry"] * 2


async def test_a_redis_that_is_away_is_logged_each_time_it_goes_and_once(caches: dict[str, Cache]) -> None:
    caches[URL] = Cache(AAA=HASH)
    freshness = following((MAJORS, "AAA"), (MINORS, "AAA"))
    with capture_logs() as lines:
        for away in (None, RedisAway("refused"), RedisAway("reset"), None, RedisAway("gone")):
            caches[URL].away = away
            await freshness.read_once()
            assert freshness.is_unavailable(MINORS) is (away is not None)
            assert (str(away) in freshness.problem(MINORS)) is (away is not None)
    assert [line["error"] for line in lines] == ["Redis is unavailable: refused", "Redis is unavailable: gone"]


async def test_a_redis_that_comes_back_while_another_is_closed_is_read(caches: dict[str, Cache]) -> None:
    urls = [f"redis://cache{number}:6379/0" for number in range(3)]
    freshness = following((MAJORS, "AAA"), url=urls[0])
    for number, url in enumerate(urls):
        caches[url] = Cache(AAA=HASH)
        follow(freshness, StreamKey("market", f"s{number}"), "AAA", url)
    await freshness.read_once()
    for number in (1, 2):
        freshness.forget(StreamKey("market", f"s{number}"))

    def back() -> None:
        caches[urls[1]].on_close = caches[urls[2]].on_close = lambda: None
        for number in (1, 2):
            follow(freshness, StreamKey("market", f"s{number}"), "AAA", urls[number])

    caches[urls[1]].on_close = caches[urls[2]].on_close = back
    for _ in range(3):
        await freshness.read_once()
    assert freshness.readings(StreamKey("market", "s2"))["AAA"].is_fresh


async def until(condition: Callable[[], object]) -> None:
    async with asyncio.timeout(10):
        while not condition():  # noqa: ASYNC110  a read comes without an event
            await asyncio.sleep(0.001)


async def test_an_error_that_nobody_expects_ends_nothing(
    caches: dict[str, Cache], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "POLL_S", 0.001)
    caches[URL] = Cache(AAA=HASH)
    caches[URL].away = KeyError("bug")
    freshness = following((MAJORS, "AAA"))
    with capture_logs() as lines:
        running = asyncio.create_task(freshness.run())
        await until(lambda: lines)
        caches[URL].away = None
        await until(lambda: freshness.readings(MAJORS)["AAA"].is_fresh)
        running.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await running
    assert lines[0]["event"] == "freshness read failed, will retry"
    assert freshness.readings(MAJORS)["AAA"].is_fresh
    assert caches[URL].closed


async def test_a_silent_redis_delays_no_other(caches: dict[str, Cache], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "POLL_S", 0.001)
    silent = "redis://silent:6379/0"
    caches[URL], caches[silent] = Cache(CCC=HASH), Cache()
    caches[silent].silent = True
    freshness = following((MAJORS, "AAA"), url=silent)
    follow(freshness, MINORS, "CCC")
    running = asyncio.create_task(freshness.run())
    await until(lambda: freshness.readings(MINORS)["CCC"].is_fresh)
    running.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await running
    assert caches[silent].closed
