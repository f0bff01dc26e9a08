"""The services' settings that a pod takes from the connection Secret, and its HTTP port."""

from typing import Final

from marketstream.settings import Settings

SECRET: Final = frozenset(
    {
        "kafka_bootstrap", "kafka_security_protocol", "kafka_sasl_mechanism", "kafka_sasl_username",
        "kafka_sasl_password", "kafka_ca_file", "database_url", "database_ca", "redis_url", "redis_ca",
    }
)  # fmt: skip
"""Settings that the connection Secret may give, by keys in capitals. AUTHORITIES are PEM text, mounted as files."""

AUTHORITIES: Final = {"kafka_ca_file": "kafka", "database_ca": "database", "redis_ca": "redis"}
"""Settings that are files of certificate authorities, with the names of their folders in a pod."""

REQUIRED: Final = ("kafka_bootstrap", "database_url", "redis_url")
"""Settings that the connection Secret must give."""

HTTP_PORT: Final = Settings().http_port
