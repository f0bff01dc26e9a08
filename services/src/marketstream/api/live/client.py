"""One client of /ws: its subscriptions, and the messages that wait for it to read."""

import time
from collections.abc import Callable
from typing import Any, Final

from marketstream.api import metrics
from marketstream.api.live.messages import frame
from marketstream.api.live.outlet import Outlet
from marketstream.api.live.subscription import Subscription

BEHIND: Final = 256 * 1024
"""Bytes that may wait for a client, in addition to the kernel's buffers: a few seconds of messages.

A client with more waiting is behind, and receives nothing new until it has read all of them.
"""

STUCK_S: Final = 10.0
"""Seconds within which a client that is behind must read all waiting messages."""

TRY_AGAIN_LATER: Final = 1013


class Client:
    """A Follower that skips to the latest state when it falls behind, and is closed if it does not catch up."""

    def __init__(self, outlet: Outlet, clock: Callable[[], float] = time.monotonic) -> None:
        self._outlet = outlet
        self._clock = clock
        self._allowed = BEHIND
        self._behind_since: float | None = None
        self._full_since: float | None = None
        self.is_given_up = False
        self.subscriptions: Final[dict[Subscription, int]] = {}
        """The subscriptions of the client, each with the maximum number of candles in a snapshot."""

    @property
    def is_behind(self) -> bool:
        """True if frames were skipped since the client's last snapshot."""
        return self._behind_since is not None

    def has_room(self) -> bool:
        """Return True if another reply may be queued: not while too many bytes wait to be read.

        A client that requests more than it reads is closed after STUCK_S.
        """
        if self._behind_since is not None:
            return False  # catch_up closes the client if necessary
        if self._outlet.buffered() <= BEHIND:
            self._full_since, self._allowed = None, BEHIND
            return True
        if self._full_since is None:
            self._full_since = self._clock()
        self._give_up_after(self._full_since)
        return False

    def send(self, frames: bytes) -> None:
        """Send the frames, or skip them if the client is behind."""
        if self._behind_since is not None:
            return
        if self._outlet.buffered() > self._allowed:
            self._behind_since = self._clock()
            metrics.BEHIND.inc()
            return
        self._outlet.write(frames)

    def answer(self, message: Any) -> None:
        """Send a message that is for this client only and is not part of a subscription."""
        self._outlet.write(frame(message))

    def show(self, snapshot: bytes) -> None:
        """Send a snapshot. It may be larger than BEHIND, so its size does not count towards that limit."""
        self._outlet.write(snapshot)
        self._allowed = self._outlet.buffered() + BEHIND

    def catch_up(self, snapshots: Callable[[], list[bytes]]) -> None:
        """Send new snapshots to a client that was behind and has read everything. Close it if it takes too long."""
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
            self._outlet.give_up(TRY_AGAIN_LATER, f"the client has read too little for {STUCK_S:g} s; reconnect later")
