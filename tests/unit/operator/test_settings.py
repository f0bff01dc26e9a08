"""The operator's settings: what they require, and which namespaces they serve."""

import pytest
from marketstream.settings import SettingsError
from marketstream_operator.settings import OperatorSettings


def test_the_defaults_are_enough() -> None:
    OperatorSettings.from_environment({}).check()


def test_strimzi_needs_the_name_of_its_kafka() -> None:
    with pytest.raises(SettingsError, match=r"KAFKA_CLUSTER \(for strimzi: name of the Kafka object"):
        OperatorSettings(kafka_mode="strimzi").check()
    OperatorSettings(kafka_mode="strimzi", kafka_cluster="main").check()


@pytest.mark.parametrize("name", ["pod_namespace", "services_image", "connection_secret"])
def test_an_empty_value_is_missing(name: str) -> None:
    with pytest.raises(SettingsError, match=name.upper()):
        OperatorSettings(**{name: ""}).check()


@pytest.mark.parametrize("name", ["Blue", "a_b", "-a", "a" * 64])
def test_a_class_that_no_spec_can_name_is_refused(name: str) -> None:
    with pytest.raises(SettingsError, match=f"CLASS_NAME is '{name}': expected up to 63 lower-case letters"):
        OperatorSettings(class_name=name).check()
    OperatorSettings(class_name="blue-1").check()


@pytest.mark.parametrize(
    ("watched", "namespaces"),
    [("", ("home",)), ("a,b", ("a", "b")), ("*", None), ("a,*", None)],
)
def test_the_namespaces_to_serve(watched: str, namespaces: tuple[str, ...] | None) -> None:
    settings = OperatorSettings.from_environment({"WATCH_NAMESPACES": watched, "POD_NAMESPACE": "home"})
    assert settings.namespaces == namespaces


def test_strimzi_serves_the_namespace_of_the_operator_only() -> None:
    settings = OperatorSettings(kafka_mode="strimzi", kafka_cluster="main", pod_namespace="home")
    assert (settings.serves("home"), settings.serves("markets")) == (True, False)
    assert OperatorSettings(pod_namespace="home").serves("markets")
