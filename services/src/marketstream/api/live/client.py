"""One client of /ws: what it follows, and how far it has fallen behind."""

import time
from collections.abc import Callable
from typing import Any, Final

from marketstream.api import metrics
from marketstream.api.live.messages import frame
from marketstream.api.live.outlet import Outlet
from marketstream.api.live.subscription import Subscription

BEHIND: Final = 256 * 1024
"""Bytes waiting for a client beyond which it is sent nothing more until it has read them: a few seconds of messages,
beside the kernel's buffers."""

STUCK_S: Final = 10.0
"""Seconds within which a client that is behind must have read what waits for it."""

TRY_AGAIN_LATER: Final = 1013


class Client:
    """A Follower: takes the frames while it keeps up, else skips to the latest, else is closed."""

    def __init__(self, outlet: Outlet, clock: Callable[[], float] = time.monotonic) -> None:
        self._outlet = outlet
        self._clock = clock
        self._allowed = BEHIND
        self._behind_since: float | None = None
        self._full_since: float | None = None
        self.is_given_up = False
        self.subscriptions: Final[dict[Subscription, int]] = {}
        """What it follows, each with the most candles that it wants in a snapshot."""

    @property
    def is_behind(self) -> bool:
        """Whether frames were left out since its last snapshot."""
        return self._behind_since is not None

    def has_room(self) -> bool:
        """Whether it may be answered: not while much waits for it. One that asked for more than it reads is closed when
        that goes on too long."""
        if self._behind_since is not None:
            return False  # catch_up looks after it
        if self._outlet.buffered() <= BEHIND:
            self._full_since, self._allowed = None, BEHIND
            return True
        if self._full_since is None:
            self._full_since = self._clock()
        self._give_up_after(self._full_since)
        return False

    def send(self, frames: bytes) -> None:
        """Takes the frames, or leaves them out."""
        if self._behind_since is not None:
            return
        if self._outlet.buffered() > self._allowed:
            self._behind_since = self._clock()
            metrics.BEHIND.inc()
            return
        self._outlet.write(frames)

    def answer(self, message: Any) -> None:
        """Sends a message that is for this client alone and does not belong to a stream."""
        self._outlet.write(frame(message))

    def show(self, snapshot: bytes) -> None:
        """Sends a snapshot. It may be greater than all that a client may have waiting, and is not held against it."""
        self._outlet.write(snapshot)
        self._allowed = self._outlet.buffered() + BEHIND

    def catch_up(self, snapshots: Callable[[], list[bytes]]) -> None:
        """Shows the latest of all it follows once it has read what waited; closes it when that takes too long."""
        if self._behind_since is None:
            return
        if self._outlet.buffered() == 0:
            self._behind_since, self._full_since, self._allowed = None, None, BEHIND
            for snapshot in snapshots():
                self.show(snapshot)
        else:
            self._give_up_after(self._behind_since)

    def _give_up_after(self, since: float) -> None:
        if not self.is_given_up and self._clock() - since > STUCK_S:
            self.is_given_up = True
            metrics.STUCK.inc()
            self._outlet.give_up(TRY_AGAIN_LATER, f"nothing was read for {STUCK_S:g} s; connect again later")
