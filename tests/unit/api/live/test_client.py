"""Clients that keep up, fall behind or are stuck."""

from collections.abc import Callable

from marketstream.api.live.client import BEHIND, STUCK_S, Client


class Outlet:
    """An outlet whose reader reads as much as the test says."""

    def __init__(self) -> None:
        self.written: list[bytes] = []
        self.waiting = 0
        self.closed: tuple[int, str] | None = None

    def write(self, frames: bytes) -> None:
        self.written.append(frames)
        self.waiting += len(frames)

    def buffered(self) -> int:
        return self.waiting

    def give_up(self, code: int, reason: str) -> None:
        self.closed = code, reason


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def pair() -> tuple[Client, Outlet, Clock]:
    outlet, clock = Outlet(), Clock()
    return Client(outlet, clock), outlet, clock


def latest(*snapshots: bytes) -> Callable[[], list[bytes]]:
    return lambda: list(snapshots)


def test_a_client_that_keeps_up_gets_everything() -> None:
    client, outlet, _ = pair()
    for number in range(1000):
        client.send(b"%d" % number)
        outlet.waiting = 0
    assert len(outlet.written) == 1000
    assert not client.is_behind


def test_a_client_that_fell_behind_gets_the_latest_after_reading_the_rest() -> None:
    client, outlet, _ = pair()
    client.send(bytes(BEHIND + 1))
    client.send(b"missed")
    client.send(b"missed, too")
    assert client.is_behind
    outlet.waiting = 1
    client.catch_up(latest(b"snapshot"))
    assert len(outlet.written) == 1
    outlet.waiting = 0
    client.catch_up(latest(b"snapshot"))
    client.send(b"next")
    assert outlet.written[1:] == [b"snapshot", b"next"]


def test_a_large_snapshot_alone_does_not_put_a_client_behind() -> None:
    client, outlet, _ = pair()
    client.show(bytes(10 * BEHIND))
    client.send(b"next")
    assert not client.is_behind
    outlet.waiting += BEHIND
    client.send(b"missed")
    assert client.is_behind


def test_a_client_that_reads_nothing_is_closed_with_a_reason() -> None:
    client, outlet, clock = pair()
    client.send(bytes(BEHIND + 1))
    client.send(b"missed")
    clock.now = STUCK_S
    client.catch_up(latest())
    assert outlet.closed is None
    clock.now = STUCK_S + 0.1
    client.catch_up(latest())
    assert outlet.closed == (1013, "the client has read too little for 10 s; reconnect later")


def test_a_client_with_many_waiting_bytes_is_not_answered_until_it_has_read() -> None:
    client, outlet, clock = pair()
    assert client.has_room()
    client.show(bytes(BEHIND + 1))
    assert not client.has_room()
    clock.now = STUCK_S
    outlet.waiting = BEHIND
    assert client.has_room()
    client.show(bytes(1))
    clock.now = 2 * STUCK_S
    assert not client.has_room()  # full anew: its time begins anew
    assert not client.is_given_up


def test_a_client_that_requests_more_than_it_reads_is_closed() -> None:
    client, outlet, clock = pair()
    client.show(bytes(BEHIND + 1))
    assert not client.has_room()
    clock.now = STUCK_S + 0.1
    assert not client.has_room()
    assert client.is_given_up
    assert outlet.closed == (1013, "the client has read too little for 10 s; reconnect later")


def test_a_client_that_is_behind_is_not_answered_until_it_has_caught_up() -> None:
    client, outlet, _ = pair()
    client.send(bytes(BEHIND + 1))
    client.send(b"missed")
    outlet.waiting = 1
    assert not client.has_room()
    outlet.waiting = 0
    client.catch_up(latest())
    assert client.has_room()


def test_the_stuck_timer_restarts_when_a_full_client_catches_up() -> None:
    client, outlet, clock = pair()
    outlet.waiting = BEHIND + 1
    assert not client.has_room()
    client.send(b"missed")
    clock.now = STUCK_S - 0.1
    outlet.waiting = 0
    client.catch_up(latest(bytes(BEHIND + 1)))
    clock.now = STUCK_S + 0.1
    assert not client.has_room()
    assert outlet.closed is None


def test_answers_do_not_raise_the_limit_permanently() -> None:
    client, _, _ = pair()
    client.show(bytes(BEHIND))
    assert client.has_room()
    client.send(b"x")
    client.send(b"missed")
    assert client.is_behind
