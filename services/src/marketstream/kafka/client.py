"""The arguments that every Kafka client of MarketStream is given."""

import ssl
from typing import Any

from aiokafka.conn import collect_hosts

from marketstream.kafka.errors import BrokerRefusedError
from marketstream.settings import Settings, SettingsError


def connection(settings: Settings) -> dict[str, Any]:
    """Return the arguments with which an aiokafka client (producer, consumer or admin) reaches and trusts the brokers.

    Raises SettingsError when a setting is missing or KAFKA_CA_FILE cannot be read, and BrokerRefusedError when
    KAFKA_BOOTSTRAP is not a list of addresses.
    """
    settings.require("kafka_bootstrap")
    _check_addresses(settings.kafka_bootstrap)
    given: dict[str, Any] = {
        "bootstrap_servers": settings.kafka_bootstrap,
        "security_protocol": settings.kafka_security_protocol,
    }
    if "SSL" in settings.kafka_security_protocol.split("_"):
        given["ssl_context"] = _trust(settings.kafka_ca_file)
    if settings.kafka_security_protocol.startswith("SASL"):
        settings.require("kafka_sasl_username", "kafka_sasl_password")
        given["sasl_mechanism"] = settings.kafka_sasl_mechanism
        given["sasl_plain_username"] = settings.kafka_sasl_username
        given["sasl_plain_password"] = settings.kafka_sasl_password
    return given


def _check_addresses(bootstrap: str) -> None:
    try:
        ports = [port for _, port, _ in collect_hosts(bootstrap)]
    except ValueError:
        ports = [-1]
    # Kafka has no user in its addresses: what precedes an @ is probably a password, which later errors would show.
    if "@" in bootstrap or not all(0 < port < 2**16 for port in ports):
        raise BrokerRefusedError(
            "KAFKA_BOOTSTRAP is not valid: expected host:port of the Kafka brokers, separated by commas"
        )


def _trust(ca_file: str) -> ssl.SSLContext:
    """Return a TLS context that trusts the authority in this file, or the system's authorities without a file."""
    try:
        return ssl.create_default_context(cafile=ca_file or None)
    except OSError as error:  # ssl.SSLError is one
        why = error.strerror or type(error).__name__  # the text of the error may have the value
        raise SettingsError(
            f"KAFKA_CA_FILE is not valid: expected a readable PEM file ({why})", "KAFKA_CA_FILE"
        ) from error
