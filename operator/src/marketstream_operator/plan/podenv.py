"""The services' settings that a pod takes from the connection Secret, and its HTTP port."""

from typing import Final

from marketstream.settings import Settings

SECRET: Final = frozenset(
    {
        "kafka_bootstrap", "kafka_security_protocol", "kafka_sasl_mechanism", "kafka_sasl_username",
        "kafka_sasl_password", "kafka_ca_file", "database_url", "redis_url",
    }
)  # fmt: skip
"""Settings that the connection Secret may give, by keys in capitals. KAFKA_CA_FILE is PEM text, mounted as a file."""

REQUIRED: Final = ("kafka_bootstrap", "database_url", "redis_url")
"""Settings that the connection Secret must give."""

HTTP_PORT: Final = Settings().http_port
