"""Who sets which of the services' settings in a pod. Every setting has one place, here or in what `env` of a
MarketStream may set (resource.spec.TUNING), which a test holds."""

from typing import Final

from marketstream.settings import Settings

SECRET: Final = frozenset(
    {
        "kafka_bootstrap", "kafka_security_protocol", "kafka_sasl_mechanism", "kafka_sasl_username",
        "kafka_sasl_password", "kafka_ca_file", "database_url", "redis_url",
    }
)  # fmt: skip
"""Keys of the connection Secret, in capitals there. KAFKA_CA_FILE holds the PEM itself, which is mounted as a file."""

REQUIRED: Final = ("kafka_bootstrap", "database_url", "redis_url")
"""Those that a connection Secret cannot lack."""

WRITTEN: Final = frozenset(
    {
        "exchange", "symbols", "exchange_ws_url", "exchange_rest_url", "default_exchange", "topic_prefix",
        "topic_create", "consumer_group", "max_age_s", "start_limit_s", "log_level", "log_format",
    }
)  # fmt: skip
"""What the operator writes, from the MarketStream and from its own settings."""

FIXED: Final = frozenset(
    {"topic_retention_ms", "topic_replication", "recording", "replay_speed", "http_host", "http_port"}
)
"""What stays at its default in a pod: others make the topics, replays have no place there, the port is known."""

HTTP_PORT: Final = Settings().http_port
