"""Secrets that are created later than the MarketStream that needs them."""

from marketstream.local.kafka import KafkaServer

from tests.harness.operator.running import Cluster
from tests.integration.operator.conftest import Operate


async def test_a_secret_that_comes_late_is_not_waited_for_until_the_next_look_at_everything(
    operate: Operate, connected: Cluster, kafka: KafkaServer, redis_url: str
) -> None:
    await operate(RESYNC_S="300")
    await connected.stream("majors", ["BTCUSDT"], connectionSecretRef={"name": "late"})
    assert "there is no Secret late" in await connected.says("majors", "SpecValid", "False", "Invalid")
    await connected.connect(kafka.address, "postgresql://nobody@127.0.0.1:1/none", redis_url, name="late")
    await connected.has_deployments("majors", 2)
    await connected.says("majors", "SpecValid", "True")
