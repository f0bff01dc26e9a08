"""The operator's own settings, read from its environment."""

import re
from dataclasses import dataclass
from typing import Final

from marketstream.settings import Environment, SettingsError, setting

_CLASS_NAME: Final = re.compile("([a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?)?")

ALL: Final = "*"
"""The word in WATCH_NAMESPACES for all namespaces."""


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class OperatorSettings(Environment):
    """The settings of the operator's container. An empty text means that the setting is not given."""

    pod_namespace: str = setting("default", "namespace of the operator, of its Lease and of the KafkaTopics")
    pod_name: str = setting("", "name of the operator's pod, shown in the Lease and in Events")
    watch_namespaces: tuple[str, ...] = setting(
        (), "namespaces to serve, separated by commas; * serves all, empty serves the operator's own"
    )
    lease_name: str = setting("marketstream-operator", "name of the Lease that elects the leader")
    class_name: str = setting(
        "", "the operator serves MarketStreams whose spec.className is this; empty for those that name no class"
    )
    services_image: str = setting("marketstream/services:latest", "image of the producers and processors")
    image_pull_policy: str = setting(
        "IfNotPresent", "pull policy of that image", choices=("Always", "IfNotPresent", "Never")
    )
    image_pull_secrets: tuple[str, ...] = setting((), "names of Secrets for pulling that image, separated by commas")
    kafka_mode: str = setting(
        "external",
        "who creates the topics: Strimzi, from KafkaTopic objects, or with external the operator",
        choices=("strimzi", "external"),
    )
    kafka_cluster: str = setting("", "for strimzi: name of the Kafka object whose topic operator creates the topics")
    topics_create: bool = setting(True, "for external: create missing topics; if false, wait for them")
    topic_prefix: str = setting("trades", "first part of the name of every topic")
    topic_replication: int = setting(-1, "replicas of new topics; -1 for the broker's default", least=-1)
    connection_secret: str = setting(
        "marketstream-connection",
        "Secret with KAFKA_BOOTSTRAP, DATABASE_URL, REDIS_URL and further KAFKA_* keys where needed, for MarketStreams "
        "in the operator's namespace that name no Secret of their own",
    )
    kafka_user_secret: str = setting(
        "", "Secret of a Strimzi KafkaUser, with the key `password`; the name of the Secret is the user name"
    )
    kafka_ca_secret: str = setting("", "Secret whose key `ca.crt` holds the certificate authority of Kafka")
    database_ca_secret: str = setting("", "Secret whose key `ca.crt` holds the certificate authority of PostgreSQL")
    default_exchange: str = setting("binance", "exchange whose symbols also have short keys in Redis")
    services_log_format: str = setting("json", "log format of the services", choices=("console", "json"))
    fixed_user_ids: bool = setting(
        True, "run pods as a fixed user id; if false, the cluster gives ids, as OpenShift does"
    )
    writable_root: bool = setting(False, "allow pods to write to their root file system (for development)")
    workers: int = setting(10, "MarketStreams that are reconciled at the same time", least=1)
    resync_s: int = setting(60, "seconds between resyncs", least=5)
    max_rolling_pairs: int = setting(
        10,
        "pairs that roll at the same time when the image, the settings or credentials change; and pairs of one "
        "MarketStream that change at the same time after a change of its spec",
        least=1,
    )
    drain_limit_s: int = setting(
        60, "seconds after which the processors of a paused stream stop even if they have not read everything", least=1
    )
    http_host: str = setting("0.0.0.0", "address to serve HTTP on")  # noqa: S104 - a container serves its pod
    http_port: int = setting(8080, "port to serve HTTP on", least=0)
    log_level: str = setting("info", "minimum log level", choices=("debug", "info", "warning", "error"))
    log_format: str = setting("console", "log format", choices=("console", "json"))

    def check(self) -> None:
        """Raise SettingsError if a setting that is needed is missing, or one cannot be used."""
        if self.kafka_mode == "strimzi":
            self.require("kafka_cluster")
        self.require("pod_namespace", "services_image", "connection_secret")
        if not _CLASS_NAME.fullmatch(self.class_name):
            raise SettingsError(
                f"CLASS_NAME is {self.class_name!r}: expected up to 63 lower-case letters, digits and -, or nothing"
            )

    def serves(self, namespace: str) -> bool:
        """Return True if MarketStreams of this namespace can be served.

        Strimzi creates topics only in its own namespace, which is the operator's.
        """
        return self.kafka_mode != "strimzi" or namespace == self.pod_namespace

    @property
    def identity(self) -> str:
        """The namespace and the name of the Lease: the replicas of an operator share it, and no other operator has it.

        Objects carry it as an annotation (names.MADE_BY).
        """
        return f"{self.pod_namespace}/{self.lease_name}"

    @property
    def namespaces(self) -> tuple[str, ...] | None:
        """The namespaces to serve; None for all namespaces."""
        if ALL in self.watch_namespaces:
            return None
        return self.watch_namespaces or (self.pod_namespace,)
