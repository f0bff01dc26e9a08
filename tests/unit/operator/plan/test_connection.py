"""The connection of pods: each role gets the settings that it needs, credentials by reference."""

from marketstream.settings import Settings
from marketstream_operator.names import Role
from marketstream_operator.plan.connection import Connection

SOURCES = {
    "kafka_bootstrap": ("link", "KAFKA_BOOTSTRAP"),
    "database_url": ("link", "DATABASE_URL"),
    "redis_url": ("link", "REDIS_URL"),
    "kafka_sasl_password": ("user", "password"),
}


def environment(role: Role, sources: dict[str, tuple[str, str]]) -> dict[str, object]:
    connection = Connection(sources, {"kafka_sasl_username": "stream"}, Settings(), "c1")
    entries = connection.environment(role)
    found = {entry["name"]: entry.get("value") or entry["valueFrom"]["secretKeyRef"] for entry in entries}
    assert len(found) == len(entries), "a name is given twice"
    return found


def test_a_processor_gets_all_settings() -> None:
    assert environment("processor", SOURCES) == {
        "KAFKA_SASL_USERNAME": "stream",
        "KAFKA_BOOTSTRAP": {"name": "link", "key": "KAFKA_BOOTSTRAP"},
        "DATABASE_URL": {"name": "link", "key": "DATABASE_URL"},
        "REDIS_URL": {"name": "link", "key": "REDIS_URL"},
        "KAFKA_SASL_PASSWORD": {"name": "user", "key": "password"},
    }


def test_a_producer_is_not_given_the_database() -> None:
    assert set(environment("processor", SOURCES)) - set(environment("producer", SOURCES)) == {"DATABASE_URL"}


def test_the_authority_of_kafka_is_given_as_the_path_of_a_mounted_file() -> None:
    sources = {**SOURCES, "kafka_ca_file": ("ca", "ca.crt")}
    assert environment("producer", sources)["KAFKA_CA_FILE"] == "/etc/marketstream/kafka/ca.crt"
    assert Connection(sources, {}, Settings(), "c1").authorities("producer") == {"kafka": ("ca", "ca.crt")}
    assert Connection(SOURCES, {}, Settings(), "c1").authorities("processor") == {}


def test_a_producer_does_not_trust_the_database() -> None:
    sources = {**SOURCES, "database_ca": ("link", "DATABASE_CA"), "redis_ca": ("link", "REDIS_CA")}
    found = environment("processor", sources)
    assert found["DATABASE_CA"] == "/etc/marketstream/database/ca.crt"
    assert found["REDIS_CA"] == "/etc/marketstream/redis/ca.crt"
    assert set(found) - set(environment("producer", sources)) == {"DATABASE_URL", "DATABASE_CA"}
    link = Connection(sources, {}, Settings(), "c1")
    assert link.authorities("processor") == {"database": ("link", "DATABASE_CA"), "redis": ("link", "REDIS_CA")}
    assert link.authorities("producer") == {"redis": ("link", "REDIS_CA")}
