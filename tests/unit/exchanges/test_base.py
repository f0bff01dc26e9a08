"""The simulator and the replay keep the contract of an exchange, as Binance does in the integration tests."""

import math
from pathlib import Path

from marketstream.exchanges.replay.exchange import Replay
from marketstream.exchanges.simulator.exchange import Simulator

from tests.harness.contract import assert_keeps_the_contract


async def test_the_simulator_keeps_the_contract() -> None:
    await assert_keeps_the_contract(Simulator(1, trades_per_second=200), "BTCUSDT", "btc usdt")


async def test_a_replay_keeps_the_contract(tmp_path: Path) -> None:
    recording = tmp_path / "BTCUSDT-trades-2021-01-08.csv"
    recording.write_text(
        "".join(f"{id_},5.0,1.0,5.0,{1610064000000000 + id_ * 1000},True,True\n" for id_ in range(1000, 1200))
    )
    await assert_keeps_the_contract(Replay(recording, speed=math.inf), "BTCUSDT", "ETHUSDT")
