"""The typed spec of a MarketStream.

The CRD is generated from it (`manifests.crd`), and specs are read into it (`resource.validation`). `kubectl explain`
shows the description of each field.
"""

import re
from typing import Annotated, Final, Literal, NamedTuple

from marketstream.symbols import ANY_SCRIPT, is_spelled
from msgspec import Meta, field

from marketstream_operator.resource.affinity import Affinity
from marketstream_operator.resource.durations import Bounds, duration_s
from marketstream_operator.resource.fields import Fields, about
from marketstream_operator.resource.pods import (
    EnvVar,
    LabelValue,
    LocalObjectReference,
    Name,
    ResourceRequirements,
    Toleration,
    TopologySpreadConstraint,
)


class Spelling(NamedTuple):
    """The spelling of the symbols of an exchange."""

    pattern: str
    """A regular expression of ASCII, in which A-Z0-9 stands for digits and for the capital letters of any script."""
    longest: int
    """Maximum number of characters."""
    expected: str
    """A description for messages."""

    @property
    def any_script(self) -> str:
        """The regular expression for the API server, whose expressions have no lookaround."""
        return self.pattern.replace("A-Z0-9", f"A-Z0-9{ANY_SCRIPT}")

    def allows(self, symbol: str) -> bool:
        """Return True if a symbol is spelled like this."""
        return len(symbol) <= self.longest and is_spelled(symbol, re.compile(self.pattern))


EXCHANGES: Final = {
    "binance": Spelling("^[A-Z0-9]+$", 32, "2 to 32 capital letters and digits, such as BTCUSDT"),
    "simulator": Spelling("^[A-Z0-9]+$", 20, "2 to 20 capital letters and digits, such as BTCUSDT"),
}
"""The exchanges that a spec may name."""

MAX_AGE: Final = Bounds("30s", "1h")
RETENTION: Final = Bounds("1m", "3650d")

TUNING: Final = (
    "PACK_MS",
    "HEARTBEAT_MS",
    "GRACE_MS",
    "MAX_ID_JUMP",
    "MAX_HOLES",
    "PUBLISH_MS",
    "SIMULATOR_SEED",
    "KAFKA_SESSION_TIMEOUT_MS",
)
"""Settings of the services that `env` may set. The operator decides all others, or the connection Secret sets them."""

Symbol = Annotated[str, Meta(min_length=2, max_length=32)]
Duration = Annotated[str, Meta(min_length=2, max_length=40)]
Url = Annotated[str, Meta(max_length=512)]


class Endpoints(Fields, frozen=True):
    """Addresses that replace those of the exchange."""

    web_socket: Annotated[
        Url, about("Scheme, host and port of the WebSocket API, such as wss://stream.example:9443. No path.")
    ] = ""
    rest: Annotated[Url, about("Scheme, host and port of the REST API, such as https://api.example. No path.")] = ""


class Freshness(Fields, frozen=True):
    """The limit beyond which the data of a symbol is stale."""

    max_age: Annotated[
        Duration,
        about(
            "The condition Fresh turns False when no data of a symbol has arrived for longer than this, even if all "
            f"pods are healthy. A duration in h, m and s, from {MAX_AGE.least} to {MAX_AGE.most}. A market without "
            "trades is quiet, not stale: its feed is still alive.",
        ),
    ] = "60s"

    @property
    def max_age_s(self) -> int:
        """Return `max_age` in seconds. Raises SpecError."""
        return duration_s(self.max_age, "spec.freshness.maxAge", MAX_AGE)


class Retention(Fields, frozen=True):
    """The time for which Kafka keeps trades, and the deletion policy for topics that are no longer needed."""

    trades: Annotated[
        Duration,
        about(
            "Time for which Kafka keeps trades. A duration in d, h, m and s, "
            f"from {RETENTION.least} to {RETENTION.most}. Candles are stored in PostgreSQL and are not affected.",
        ),
    ] = "24h"
    on_delete: Annotated[
        Literal["delete", "keep"],
        about(
            "Deletion policy when a symbol or the stream is removed: delete or keep its topics, if Strimzi manages "
            "them. Topics that the operator has created in an external Kafka are always kept."
        ),
    ] = "delete"

    @property
    def trades_s(self) -> int:
        """Return `trades` in seconds. Raises SpecError."""
        return duration_s(self.trades, "spec.retention.trades", RETENTION)


class Workload(Fields, frozen=True):
    """Options of the pods of all producers, or of all processors."""

    resources: Annotated[
        ResourceRequirements | None,
        about("Resources that each container requests, and their limits. Defaults to values chosen by the operator."),
    ] = None
    log_level: Annotated[Literal["debug", "info", "warning", "error"], about("Minimum log level.")] = "info"
    env: Annotated[
        tuple[EnvVar, ...],
        about(
            "Additional environment variables of the container. Of MarketStream's own settings, only these may be set: "
            f"{', '.join(TUNING)}. They are given by value. The operator decides the others, or the connection Secret "
            "sets them.",
            keys=["name"],
            max_length=64,
        ),
    ] = ()
    labels: Annotated[
        dict[str, LabelValue],
        about("Additional labels of the pods. The prefixes app.kubernetes.io/ and marketstream.io/ are reserved.",
              max_length=32),
    ] = field(default_factory=dict)  # fmt: skip
    annotations: Annotated[
        dict[str, Annotated[str, Meta(max_length=8_192)]],
        about("Additional annotations of the pods. The prefixes app.kubernetes.io/ and marketstream.io/ are reserved.",
              max_length=32),
    ] = field(default_factory=dict)  # fmt: skip
    image_pull_secrets: Annotated[
        tuple[LocalObjectReference, ...],
        about("Secrets with which the image is pulled, in addition to those in the operator's settings.", keys=["name"],
              max_length=16),
    ] = ()  # fmt: skip
    priority_class_name: Annotated[
        Name | None, about("Name of the PriorityClass of the pods. Defaults to that of the cluster.")
    ] = None
    node_selector: Annotated[
        dict[str, LabelValue], about("Labels that a node must have for the pods to run on it.", max_length=32)
    ] = field(default_factory=dict)
    tolerations: Annotated[
        tuple[Toleration, ...], about("Taints of nodes that the pods tolerate.", listed="atomic", max_length=32)
    ] = ()
    affinity: Annotated[
        Affinity | None,
        about("Nodes on which the pods must or should run, and other pods to run near or to keep away from."),
    ] = None
    topology_spread_constraints: Annotated[
        tuple[TopologySpreadConstraint, ...],
        about("Rules that spread the pods over zones, nodes or other domains.",
              keys=["topologyKey", "whenUnsatisfiable"], max_length=16),
    ] = ()  # fmt: skip


class Spec(Fields, frozen=True):
    """The desired state: the symbols of an exchange to stream, and the pods that stream them."""

    exchange: Annotated[
        str,
        about(
            "The exchange whose trades are streamed. `simulator` generates plausible trades and needs no network. "
            "The exchange cannot be changed later: create another MarketStream instead.",
            enum=list(EXCHANGES),
        ),
    ]
    symbols: Annotated[
        tuple[Symbol, ...],
        about(
            "The symbols to stream, as the exchange spells them, such as BTCUSDT. Symbols can be added and removed at "
            "any time without affecting the others.",
            listed="set",
            min_length=1,
            max_length=1_000,
        ),
    ]
    symbols_per_pair: Annotated[
        Annotated[int, Meta(ge=1, le=200)],
        about(
            "Maximum number of symbols that share a pair of a producer and a processor. 1 gives every symbol a pair of "
            "its own. Higher values save resources with hundreds of symbols. Symbols stay in their pairs."
        ),
    ] = 1
    class_name: Annotated[
        Annotated[str, Meta(max_length=63, pattern="^([a-z0-9]([-a-z0-9]*[a-z0-9])?)?$")],
        about(
            "Class of the operator that serves the stream. An operator serves the MarketStreams whose class is its "
            "CLASS_NAME; both are empty by default."
        ),
    ] = ""
    paused: Annotated[
        bool,
        about(
            "Set to true to pause the stream: the producers stop first, then the processors, once every trade in Kafka "
            "is counted. On resume, trades missed during the pause are fetched from the exchange's history."
        ),
    ] = False
    freshness: Annotated[Freshness, about("The limit beyond which the data of a symbol is stale.", default={})] = (
        Freshness()
    )
    retention: Annotated[
        Retention,
        about("Time for which Kafka keeps trades, and the deletion policy for unneeded topics.", default={}),
    ] = Retention()
    endpoints: Annotated[
        Endpoints,
        about(
            "Addresses that replace those of the exchange, such as those of a proxy, a regional host or a test server. "
            "The simulator ignores them."
        ),
    ] = Endpoints()
    connection_secret_ref: Annotated[
        LocalObjectReference | None,
        about(
            "Secret with the keys KAFKA_BOOTSTRAP, DATABASE_URL and REDIS_URL, and, where needed, "
            "KAFKA_SECURITY_PROTOCOL, KAFKA_SASL_MECHANISM, KAFKA_SASL_USERNAME and KAFKA_SASL_PASSWORD, and "
            "KAFKA_CA_FILE, DATABASE_CA and REDIS_CA (the PEM texts themselves). In the operator's namespace it "
            "defaults to the Secret in the operator's settings. In other namespaces it is required."
        ),
    ] = None
    producer: Annotated[Workload, about("The pods that write trades from the exchange to Kafka.", default={})] = (
        Workload()
    )
    processor: Annotated[Workload, about("The pods that aggregate the trades in Kafka into candles.", default={})] = (
        Workload()
    )
