"""The REST side of the fake Binance without a socket, and its client."""

import httpx
from marketstream.exchanges.binance.rest import Rest
from marketstream.exchanges.binance.timing import Timing
from marketstream.redis.budget import Budget

from tests.harness.binance.clock import ExchangeClock
from tests.harness.binance.limits import Limits
from tests.harness.binance.market import Market
from tests.harness.binance.rest import RestSide
from tests.harness.binance.sources import ServerTrade
from tests.unit.clocks import VirtualTime


class Case:
    """A market whose trades have all happened, and a client whose waiting moves `time`."""

    def __init__(self, trades: list[ServerTrade]) -> None:
        self.time = VirtualTime()
        self.market = Market("BTCUSDT", trades)
        self.market.advance(2**62)
        self.limits = Limits()
        self.side = RestSide({"BTCUSDT": self.market}, ExchangeClock(self.time.us), self.limits)
        self.answers: list[httpx.Response | Exception] = []
        """Scripted answers, used before those of the REST side."""
        budget = Budget(now_s=lambda: self.time.us / 1_000_000, sleep=self.time.sleep)
        self.rest = Rest(
            "http://test", budget, Timing(), sleep=self.time.sleep, transport=httpx.MockTransport(self._answer)
        )

    @property
    def paths(self) -> list[str]:
        """The last part of the path of each request."""
        return [path.rpartition("/")[2] for path, _ in self.side.requests]

    def _answer(self, request: httpx.Request) -> httpx.Response:
        if self.answers:
            answer = self.answers.pop(0)
            if isinstance(answer, Exception):
                raise answer
            return answer
        answered = self.side.answer(request.url.raw_path.decode(), request.headers)
        return httpx.Response(answered.status, headers=answered.headers, text=answered.body)
