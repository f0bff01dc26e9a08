import pytest
from marketstream.kafka.client import connection
from marketstream.settings import Settings, SettingsError


def test_a_login_needs_user_and_password_and_trust_needs_a_file() -> None:
    login = Settings(kafka_bootstrap="k:9093", kafka_security_protocol="SASL_PLAINTEXT")
    with pytest.raises(SettingsError, match=r"KAFKA_SASL_USERNAME.*KAFKA_SASL_PASSWORD"):
        connection(login)
    given = connection(login.but(kafka_sasl_username="u", kafka_sasl_password="p"))  # noqa: S106
    assert given["sasl_mechanism"] == "SCRAM-SHA-512"
    assert "ssl_context" not in given
    encrypted = Settings(kafka_bootstrap="k:9093", kafka_security_protocol="SSL")
    assert connection(encrypted)["ssl_context"].check_hostname
    with pytest.raises(SettingsError, match="KAFKA_CA_FILE is not valid: expected a readable PEM file") as caught:
        connection(encrypted.but(kafka_ca_file="/no/such.pem"))
    assert "/no/" not in str(caught.value)
