"""The spec of a MarketStream, typed: the CRD is made from it (crd.py), and specs are read into it (resource.py).

The text of a field is what `kubectl explain` shows.
"""

from typing import Annotated, Final, Literal, NamedTuple

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
    """How an exchange spells its symbols."""

    pattern: str
    """For Python and for the API server, whose expressions look neither ahead nor back."""
    longest: int
    """Most characters."""
    expected: str


EXCHANGES: Final = {
    "binance": Spelling("^[A-Z0-9]+$", 32, "2 to 32 capital letters and digits, as BTCUSDT"),
    "simulator": Spelling(
        "^[A-Z0-9]+([/-][A-Z0-9]+)?$", 20, "2 to 20 capital letters and digits, perhaps with a / or - among them"
    ),
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
"""The services' settings that a spec may set as variables. All others are the operator's or the connection Secret's."""

Symbol = Annotated[str, Meta(min_length=2, max_length=32)]
Duration = Annotated[str, Meta(min_length=2, max_length=40)]
Url = Annotated[str, Meta(max_length=512)]


class Endpoints(Fields, frozen=True):
    """Addresses that replace the exchange's own."""

    web_socket: Annotated[
        Url, about("Scheme, host and port of the WebSocket of trades, as wss://stream.example:9443. No path.")
    ] = ""
    rest: Annotated[Url, about("Scheme, host and port of the REST API, as https://api.example. No path.")] = ""


class Freshness(Fields, frozen=True):
    """When the trades of a symbol are no longer fresh."""

    max_age: Annotated[
        Duration,
        about(
            "The condition Fresh turns False when nothing has been heard of a symbol for longer than this, however "
            f"healthy its pods are. A duration of h, m and s, {MAX_AGE.least} to {MAX_AGE.most}. A market in which "
            "nobody trades is quiet, not stale: its feed is still heard.",
        ),
    ] = "60s"

    @property
    def max_age_s(self) -> int:
        """`max_age` in seconds. Raises SpecError."""
        return duration_s(self.max_age, "spec.freshness.maxAge", MAX_AGE)


class Retention(Fields, frozen=True):
    """How long Kafka keeps the trades, and what happens to them in the end."""

    trades: Annotated[
        Duration,
        about(
            f"How long Kafka keeps trades. A duration of d, h, m and s, {RETENTION.least} to {RETENTION.most}. "
            "Candles are kept in PostgreSQL and do not depend on it.",
        ),
    ] = "24h"
    on_delete: Annotated[
        Literal["delete", "keep"],
        about(
            "Whether the topics that Strimzi manages for this stream go when a symbol or the stream is removed "
            "(delete) or stay (keep). Topics that the operator made in another Kafka always stay."
        ),
    ] = "delete"

    @property
    def trades_s(self) -> int:
        """`trades` in seconds. Raises SpecError."""
        return duration_s(self.trades, "spec.retention.trades", RETENTION)


class Workload(Fields, frozen=True):
    """The pods of the producers, or of the processors."""

    resources: Annotated[
        ResourceRequirements | None,
        about("What each container asks of its node, and the most that it may use; the operator's default if absent."),
    ] = None
    log_level: Annotated[
        Literal["debug", "info", "warning", "error"], about("Least level of the log lines that are written.")
    ] = "info"
    env: Annotated[
        tuple[EnvVar, ...],
        about(
            "More variables for the container. Of MarketStream's own settings only those that tune may be set: "
            f"{', '.join(TUNING)}. The operator sets the others.",
            keys=["name"],
            max_length=64,
        ),
    ] = ()
    labels: Annotated[
        dict[str, LabelValue],
        about("More labels for the pods. The prefixes app.kubernetes.io and marketstream.io are reserved.",
              max_length=32),
    ] = field(default_factory=dict)  # fmt: skip
    annotations: Annotated[
        dict[str, Annotated[str, Meta(max_length=8_192)]],
        about("More annotations for the pods. The prefixes app.kubernetes.io and marketstream.io are reserved.",
              max_length=32),
    ] = field(default_factory=dict)  # fmt: skip
    image_pull_secrets: Annotated[
        tuple[LocalObjectReference, ...],
        about("Secrets with which the image is pulled, beside those of the operator's setting.", keys=["name"],
              max_length=16),
    ] = ()  # fmt: skip
    priority_class_name: Annotated[
        Name | None, about("Name of the PriorityClass of the pods; the cluster's default if absent.")
    ] = None
    node_selector: Annotated[
        dict[str, LabelValue], about("Labels that a node must have for the pods to run on it.", max_length=32)
    ] = field(default_factory=dict)
    tolerations: Annotated[
        tuple[Toleration, ...], about("Taints of nodes that the pods tolerate.", listed="atomic", max_length=32)
    ] = ()
    affinity: Annotated[
        Affinity | None, about("Nodes that the pods are drawn to, and other pods that they seek or avoid.")
    ] = None
    topology_spread_constraints: Annotated[
        tuple[TopologySpreadConstraint, ...],
        about("How the pods are spread over zones, nodes or other domains.",
              keys=["topologyKey", "whenUnsatisfiable"], max_length=16),
    ] = ()  # fmt: skip


class Spec(Fields, frozen=True):
    """What is wanted: which symbols of which exchange, and how the pods run that stream them."""

    exchange: Annotated[
        str,
        about(
            "The exchange whose trades are streamed. `simulator` needs no network: it makes plausible trades. "
            "The exchange of a MarketStream cannot be changed: make another one instead.",
            enum=list(EXCHANGES),
        ),
    ]
    symbols: Annotated[
        tuple[Symbol, ...],
        about(
            "The symbols, as the exchange spells them: BTCUSDT. Symbols can be added and removed at any time; the "
            "others are not disturbed.",
            listed="set",
            min_length=1,
            max_length=1_000,
        ),
    ]
    symbols_per_pair: Annotated[
        Annotated[int, Meta(ge=1, le=200)],
        about(
            "How many symbols share a producer and a processor. 1 gives every symbol a pair of its own; more save "
            "resources when there are hundreds. Symbols stay in the pair that they are in."
        ),
    ] = 1
    paused: Annotated[
        bool,
        about(
            "Whether the stream rests: the producers stop, then the processors, when all trades in Kafka are counted. "
            "What was missed meanwhile is fetched from the exchange's history afterwards."
        ),
    ] = False
    freshness: Annotated[Freshness, about("When the trades of a symbol are no longer fresh.", default={})] = Freshness()
    retention: Annotated[
        Retention, about("How long Kafka keeps the trades, and what happens to topics in the end.", default={})
    ] = Retention()
    endpoints: Annotated[
        Endpoints,
        about(
            "Addresses that replace the exchange's own: of a proxy, a regional host or a test server. The simulator "
            "has no use for them."
        ),
    ] = Endpoints()
    connection_secret_ref: Annotated[
        LocalObjectReference | None,
        about(
            "Secret with the keys KAFKA_BOOTSTRAP, DATABASE_URL and REDIS_URL, and where needed "
            "KAFKA_SECURITY_PROTOCOL, KAFKA_SASL_MECHANISM, KAFKA_SASL_USERNAME, KAFKA_SASL_PASSWORD and "
            "KAFKA_CA_FILE (the PEM text itself). A stream outside the operator's namespace needs one in its own "
            "namespace; the operator's setting by default."
        ),
    ] = None
    producer: Annotated[Workload, about("The pods that publish the exchange's trades into Kafka.", default={})] = (
        Workload()
    )
    processor: Annotated[Workload, about("The pods that make candles of the trades in Kafka.", default={})] = Workload()
