"""The operator's own settings, read from its environment."""

from dataclasses import dataclass
from typing import Final

from marketstream.settings import Environment, setting

ALL: Final = "*"
"""The word in WATCH_NAMESPACES for all of them."""


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class OperatorSettings(Environment):
    """What the operator's container takes. Empty text means: not given."""

    pod_namespace: str = setting("default", "namespace of the operator, of its Lease and of Kafka's KafkaTopics")
    pod_name: str = setting("", "name under which it holds the Lease; a random one when not given")
    watch_namespaces: tuple[str, ...] = setting(
        (), "namespaces to serve, separated by commas; * for all, none for its own"
    )
    lease_name: str = setting("marketstream-operator", "name of the Lease that elects the leader")
    services_image: str = setting("marketstream/services:latest", "image of the producers and processors")
    image_pull_policy: str = setting(
        "IfNotPresent", "when the node pulls that image", choices=("Always", "IfNotPresent", "Never")
    )
    image_pull_secrets: tuple[str, ...] = setting((), "Secrets with which it is pulled, separated by commas")
    kafka_mode: str = setting(
        "external",
        "who makes the topics: Strimzi by KafkaTopic objects, or the operator",
        choices=("strimzi", "external"),
    )
    kafka_cluster: str = setting("", "name of the Kafka object whose topic operator makes the topics (strimzi)")
    topics_create: bool = setting(True, "whether topics that are missing are made (external)")
    topic_prefix: str = setting("trades", "first part of every topic's name")
    topic_replication: int = setting(-1, "replicas of a new topic, -1 for the broker's default", least=-1)
    connection_secret: str = setting(
        "marketstream-connection",
        "Secret with KAFKA_BOOTSTRAP, DATABASE_URL, REDIS_URL and what else of KAFKA_* is needed, for streams in the "
        "operator's namespace that name no other",
    )
    kafka_user_secret: str = setting("", "Secret of a Strimzi KafkaUser: key `password`; its name is the user's")
    kafka_ca_secret: str = setting("", "Secret with the authority of Kafka's certificates in the key `ca.crt`")
    default_exchange: str = setting("binance", "the exchange whose symbols have short keys in Redis")
    services_log_format: str = setting("json", "form of the services' log lines", choices=("console", "json"))
    writable_root: bool = setting(False, "whether pods may write to their root file system (for development)")
    workers: int = setting(10, "MarketStreams reconciled at the same time", least=1)
    resync_s: int = setting(60, "seconds between looks at everything", least=5)
    max_rolling_pairs: int = setting(
        10, "pairs that roll at the same time when the operator's settings change", least=1
    )
    drain_limit_s: int = setting(60, "seconds after which a paused stream's processors stop without a proof", least=1)
    http_host: str = setting("0.0.0.0", "address on which HTTP is served")  # noqa: S104 - a container serves its pod
    http_port: int = setting(8080, "port on which HTTP is served", least=0)
    log_level: str = setting("info", "least level of log lines", choices=("debug", "info", "warning", "error"))
    log_format: str = setting("console", "form of log lines", choices=("console", "json"))

    def check(self) -> None:
        """Raises SettingsError when settings contradict each other."""
        if self.kafka_mode == "strimzi":
            self.require("kafka_cluster")
        self.require("pod_namespace", "services_image", "connection_secret")

    def serves(self, namespace: str) -> bool:
        """Whether MarketStreams of this namespace can be served: Strimzi makes topics in its own namespace only."""
        return self.kafka_mode != "strimzi" or namespace == self.pod_namespace

    @property
    def namespaces(self) -> tuple[str, ...] | None:
        """The namespaces to serve; None for all of them."""
        if ALL in self.watch_namespaces:
            return None
        return self.watch_namespaces or (self.pod_namespace,)
