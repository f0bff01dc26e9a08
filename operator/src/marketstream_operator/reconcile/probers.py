"""Questions to Kafka, asked in the background: a reconcile reads the last answer and never waits for the next one.

A Kafka that does not answer would otherwise hold a worker for seconds, again and again, and delay all other
MarketStreams.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Collection, Hashable, Iterator
from types import TracebackType
from typing import Any, Final, NamedTuple, Self

import msgspec
from marketstream.backoff import delays
from marketstream.kafka.errors import BrokerError, BrokerUnavailableError
from marketstream.settings import SettingsError
from marketstream.telemetry import logger

from marketstream_operator.names import StreamKey
from marketstream_operator.plan.connection import Connection

log = logger(__name__)

PARALLEL: Final = 4
"""Questions that one Kafka is asked at the same time."""

LIMIT_S: Final = 60.0
"""Seconds for one question. Most questions have shorter limits of their own."""

FIRST_RETRY_S: Final = 15.0
MOST_RETRY_S: Final = 60.0
"""Seconds before a Kafka that did not answer is asked again; see `delays`."""


class Question(NamedTuple):
    """A question of a stream to its Kafka."""

    stream: StreamKey
    topic: str
    """The subject. A stream has one question of each subject; another one replaces it."""
    about: Hashable
    """The details. An answer counts only while they are the same."""
    call: Callable[[], Awaitable[Any]]
    """Asks. Raises BrokerError, SettingsError."""
    names: Collection[str]
    """Names of topics or groups in the question, which must not appear in the errors that other streams report."""


class Answer(NamedTuple):
    """An answer: a value or an error, and the time of asking by the prober's clock."""

    value: Any
    error: Exception | None
    asked_at: float


class _Kafka:
    """A Kafka as one stream, or several with the same credentials, reach it."""

    def __init__(self) -> None:
        self.turns = asyncio.Semaphore(PARALLEL)
        self.error: BrokerUnavailableError | None = None
        self.failed_at = self.again_at = 0.0
        self._pauses: Iterator[float] = delays(FIRST_RETRY_S, MOST_RETRY_S)

    def fail(self, error: BrokerUnavailableError, now: float) -> None:
        self.error, self.failed_at, self.again_at = error, now, now + next(self._pauses)

    def recover(self) -> None:
        if self.error is not None:
            self.error, self.again_at, self._pauses = None, 0.0, delays(FIRST_RETRY_S, MOST_RETRY_S)


class _Entry(msgspec.Struct):
    kafka: tuple[str, str]
    about: Hashable
    answer: Answer | None = None
    task: "asyncio.Task[None] | None" = None


class Probers:
    """The questions of all streams and their last answers, a prober for each Kafka.

    `on_answer` is called with the stream when an answer differs from the one before. `clock` is monotonic, in seconds.
    On leaving the context, all questions are cancelled.
    """

    def __init__(self, on_answer: Callable[[StreamKey], None], clock: Callable[[], float] = time.monotonic) -> None:
        self._on_answer = on_answer
        self._clock = clock
        self._kafkas: dict[tuple[str, str], _Kafka] = {}
        self._entries: dict[tuple[StreamKey, str], _Entry] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def now(self) -> float:
        """Return the time by the clock of the answers."""
        return self._clock()

    def forget(self, stream: StreamKey, topic: str = "") -> None:
        """Forget the questions of a stream, or its question of one subject."""
        for place in [each for each in self._entries if each[0] == stream and topic in ("", each[1])]:
            del self._entries[place]
        used = {entry.kafka for entry in self._entries.values()}
        self._kafkas = {key: kafka for key, kafka in self._kafkas.items() if key in used}

    def ask(
        self, question: Question, connection: Connection, fresh_s: float, failed_s: float, since: float = 0.0
    ) -> Answer | None:
        """Return the last answer, None if there is none yet, and ask again if it is too old.

        A value is too old after `fresh_s` seconds, an error after `failed_s`. An answer that was asked for before
        `since` does not count. A Kafka that did not answer is not asked again before its pause ends.
        """
        key, place = (connection.settings.kafka_bootstrap, connection.credentials), (question.stream, question.topic)
        entry = self._entries.get(place)
        if entry is None or (entry.kafka, entry.about) != (key, question.about):
            entry = self._entries[place] = _Entry(key, question.about)
        answer, now = entry.answer, self._clock()
        if answer is not None and answer.asked_at < since:
            answer = None
        kafka = self._kafkas.setdefault(key, _Kafka())
        is_due = answer is None or now - answer.asked_at >= (fresh_s if answer.error is None else failed_s)
        if is_due and kafka.error is not None and now < kafka.again_at:
            return answer if answer is not None else Answer(None, kafka.error, now)
        if is_due and entry.task is None:
            entry.task = asyncio.create_task(self._run(question, entry, kafka), name=f"{question.topic} of {place[0]}")
            self._tasks.add(entry.task)
            entry.task.add_done_callback(self._tasks.discard)
        return answer

    async def _run(self, question: Question, entry: _Entry, kafka: _Kafka) -> None:
        """Ask, keep the answer, and tell the stream if it is another one."""
        queued_at = self._clock()
        try:
            async with kafka.turns:
                if kafka.error is not None and kafka.failed_at >= queued_at:
                    answer = Answer(None, kafka.error, queued_at)
                else:
                    answer = await self._answer(question, entry.kafka[0], kafka)
        except Exception:
            log.exception("question to Kafka failed unexpectedly", topic=question.topic, stream=str(question.stream))
            return
        finally:
            entry.task = None
        before, entry.answer = entry.answer, answer
        if self._entries.get((question.stream, question.topic)) is entry and _differs(before, answer):
            self._on_answer(question.stream)

    async def _answer(self, question: Question, bootstrap: str, kafka: _Kafka) -> Answer:
        asked_at = self._clock()
        try:
            async with asyncio.timeout(LIMIT_S):
                value = await question.call()
        except (BrokerUnavailableError, TimeoutError) as error:
            unavailable = BrokerUnavailableError(_without_names(bootstrap, error, question.names))
            kafka.fail(unavailable, self._clock())
            return Answer(None, unavailable, asked_at)
        except (BrokerError, SettingsError) as error:
            kafka.recover()
            return Answer(None, error, asked_at)
        kafka.recover()
        return Answer(value, None, asked_at)


def _differs(before: Answer | None, after: Answer) -> bool:
    return before is None or (before.value, str(before.error)) != (after.value, str(after.error))


def _without_names(bootstrap: str, error: Exception, names: Collection[str]) -> str:
    """Return a message about a Kafka that cannot be used. Several streams report it, so it names no topics."""
    cause = error.__cause__
    said = (str(cause) or type(cause).__name__) if cause is not None else "no answer in time"
    if any(name in said for name in names):
        said = type(cause).__name__
    return f"Kafka at {bootstrap} cannot be used: {said}"
