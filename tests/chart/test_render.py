"""The rendered objects: complete, restricted, and in the form that the operator and the services read."""

import re
from collections.abc import Iterator
from typing import Any
from urllib.parse import unquote, urlsplit

import pytest
import yaml
from marketstream.settings import Settings
from marketstream_operator.plan.podenv import SECRET
from marketstream_operator.settings import OperatorSettings

from tests.chart.helm import (
    CHART,
    DEVELOPMENT,
    EXTERNAL,
    KUBERNETES,
    PRODUCTION,
    Helm,
    Object,
    environment,
    only,
    pod_templates,
    secret,
)
from tests.chart.matrix import MATRIX


@pytest.fixture(params=MATRIX, scope="module")
def objects(request: pytest.FixtureRequest, helm: Helm) -> list[Object]:
    """Return the rendered objects, for each way to install the chart."""
    given = MATRIX[request.param]
    return helm.render(*given.get("values", ()), files=given.get("files", ()))


def test_lint(helm: Helm) -> None:
    for file in ("values.yaml", PRODUCTION, DEVELOPMENT):
        helm.run("lint", "--strict", helm.chart, "--kube-version", KUBERNETES, "--values", CHART / file)


def test_objects_have_their_labels_and_namespace(objects: list[Object]) -> None:
    cluster_wide = {"CustomResourceDefinition", "ClusterRole", "ClusterRoleBinding"}
    for each in objects:
        labels = each["metadata"]["labels"]
        assert labels["app.kubernetes.io/part-of"] == "marketstream", each["metadata"]
        assert labels["app.kubernetes.io/instance"] == "marketstream", each["metadata"]
        assert ("namespace" in each["metadata"]) is (each["kind"] not in cluster_wide), each["metadata"]


def test_names_are_unique(objects: list[Object]) -> None:
    keys = [(each["kind"], each["metadata"].get("namespace"), each["metadata"]["name"]) for each in objects]
    assert len(set(keys)) == len(keys)


def test_pods_are_restricted_and_request_resources(objects: list[Object]) -> None:
    for name, template in pod_templates(objects).items():
        pod = template["spec"]
        assert pod["enableServiceLinks"] is False, name
        assert pod["automountServiceAccountToken"] is name.endswith("-operator"), name
        assert pod["securityContext"]["runAsNonRoot"] is True, name
        for container in pod["containers"]:
            assert container["securityContext"]["allowPrivilegeEscalation"] is False
            assert container["resources"]["requests"].keys() == {"cpu", "memory"}
            assert container["resources"]["limits"].keys() == {"memory"}
            assert "latest" not in container["image"]
            if name != "marketstream-test":
                assert container.keys() >= {"livenessProbe", "readinessProbe", "startupProbe"}


def test_root_file_systems_are_read_only_except_in_development(helm: Helm) -> None:
    def writable(objects: list[Object]) -> set[str]:
        return {
            name
            for name, template in pod_templates(objects).items()
            if not template["spec"]["containers"][0]["securityContext"]["readOnlyRootFilesystem"]
        }

    assert writable(helm.render()) == set()
    assert writable(helm.render(files=[DEVELOPMENT])) == {"marketstream-operator", "marketstream-api"}


def test_replicas_have_a_disruption_budget(objects: list[Object]) -> None:
    several = {e["metadata"]["name"] for e in objects if e["kind"] == "Deployment" and e["spec"]["replicas"] > 1}
    assert {each["metadata"]["name"] for each in objects if each["kind"] == "PodDisruptionBudget"} == several


def test_the_operator_reads_its_environment(objects: list[Object]) -> None:
    (container,) = only(objects, "Deployment", "marketstream-operator")["spec"]["template"]["spec"]["containers"]
    given = environment(container)
    names = {field.upper() for field in OperatorSettings.__dataclass_fields__}
    assert given.keys() <= names, "the operator does not know these"
    settings = OperatorSettings.from_environment(given)
    assert settings.connection_secret in ("marketstream-connection", "mine")
    assert settings.lease_name == "marketstream-operator"
    kafkas = [each for each in objects if each["kind"] == "Kafka"]
    assert (settings.kafka_mode == "strimzi") is bool(kafkas)
    assert settings.kafka_cluster == (kafkas[0]["metadata"]["name"] if kafkas else "")
    users = [each for each in objects if each["kind"] == "KafkaUser"]
    assert settings.kafka_user_secret == (users[0]["metadata"]["name"] if users else "")


def test_the_api_is_served_under_a_path(helm: Helm) -> None:
    chosen = ["api.rootPath=/ms", "api.ingress.enabled=true", "api.ingress.hosts={a.example}"]
    for values, root_path, path in ((chosen[1:], "", "/"), (chosen, "/ms", "/ms")):
        objects = helm.render(*values)
        (container,) = only(objects, "Deployment", "marketstream-api")["spec"]["template"]["spec"]["containers"]
        assert environment(container).get("ROOT_PATH", "") == root_path
        (rule,) = only(objects, "Ingress", "marketstream-api")["spec"]["rules"]
        assert [each["path"] for each in rule["http"]["paths"]] == [path]


def test_the_connection_is_what_services_read(objects: list[Object]) -> None:
    if not any(each["metadata"]["name"] == "marketstream-connection" for each in objects):
        return
    given = secret(objects, "marketstream-connection")
    assert {key.lower() for key in given} <= SECRET
    Settings.from_environment(given).require("kafka_bootstrap", "database_url", "redis_url")
    for name, url in (("postgresql", given["DATABASE_URL"]), ("redis", given["REDIS_URL"])):
        if any(each["kind"] == "StatefulSet" and each["metadata"]["name"].endswith(name) for each in objects):
            assert unquote(urlsplit(url).password or "") == secret(objects, f"marketstream-{name}")["password"]
            assert urlsplit(url).hostname == f"marketstream-{name}.test.svc"


def test_the_api_mounts_the_authorities_that_it_is_told_of(objects: list[Object]) -> None:
    pod = only(objects, "Deployment", "marketstream-api")["spec"]["template"]["spec"]
    (container,) = pod["containers"]
    given = {key: value for key, value in environment(container).items() if key.endswith("_CA")}
    mounts = {each["name"]: each["mountPath"] for each in container.get("volumeMounts", ())}
    files = {
        f"{mounts[each['name']]}/{each['secret']['items'][0]['path']}": each["secret"]["items"][0]["key"]
        for each in pod.get("volumes", ())
        if each["name"].endswith("-ca")
    }
    keys = {key: "ca.crt" if any(each["kind"] == "Cluster" for each in objects) else key for key in given}
    assert {key: files[file] for key, file in given.items()} == keys
    assert len(files) == len(given)
    if "ca.crt" in keys.values():
        (volume,) = pod["volumes"]
        assert volume["secret"]["secretName"] == "marketstream-postgresql-ca"
    elif any(each["metadata"]["name"] == "marketstream-connection" for each in objects):
        assert given.keys() == secret(objects, "marketstream-connection").keys() & {"DATABASE_CA", "REDIS_CA"}
    else:
        assert given.keys() == {"DATABASE_CA"}


def test_passwords_may_contain_any_characters(helm: Helm) -> None:
    strange = "p @/:,%+ä"
    objects = helm.render("postgresql.auth.password=" + strange.replace(",", r"\,"))
    url = secret(objects, "marketstream-connection")["DATABASE_URL"]
    assert unquote(urlsplit(url).password or "") == strange
    assert secret(objects, "marketstream-postgresql") == {"password": strange}


def test_passwords_are_in_no_argument_and_no_variable(helm: Helm) -> None:
    for objects in (helm.render(), helm.render(files=[DEVELOPMENT])):
        passwords = {secret(objects, f"marketstream-{name}")["password"] for name in ("postgresql", "redis")}
        for template in pod_templates(objects).values():
            for container in template["spec"]["containers"]:
                said = [*container.get("command", []), *container.get("args", []), *environment_values(container)]
                assert passwords.isdisjoint(re.split(r"[ =:/@\"]", " ".join(said))) or passwords == {"marketstream"}


def environment_values(container: Object) -> list[str]:
    return [each.get("value", "") for each in container.get("env", [])]


def test_kafka_is_secure_in_production(helm: Helm) -> None:
    objects = helm.render(files=[PRODUCTION])
    kafka, user = only(objects, "Kafka")["spec"]["kafka"], only(objects, "KafkaUser")
    (listener,) = kafka["listeners"]
    assert (listener["tls"], listener["authentication"]) == (True, {"type": "scram-sha-512"})
    assert kafka["authorization"] == {"type": "simple"}
    assert (kafka["config"]["default.replication.factor"], kafka["config"]["min.insync.replicas"]) == (3, 2)
    rights = {
        (a["resource"]["type"], a["resource"]["name"]): a["operations"] for a in user["spec"]["authorization"]["acls"]
    }
    assert rights == {
        ("topic", "trades."): ["Describe", "Read", "Write"],
        ("group", "marketstream."): ["Describe", "Read"],
    }
    given = secret(objects, "marketstream-connection")
    assert given["KAFKA_BOOTSTRAP"] == "marketstream-kafka-bootstrap.test.svc:9093"
    assert given["KAFKA_SECURITY_PROTOCOL"] == "SASL_SSL"


def test_the_operator_has_exactly_the_roles_of_its_code(helm: Helm) -> None:
    roles = yaml.safe_load((CHART / "files" / "roles.yaml").read_text("utf-8"))
    own, watched, strimzi = roles["operatorNamespace"], roles["watched"], roles["strimzi"]

    def granted(*values: str) -> dict[tuple[str, str | None], list[Object]]:
        return {
            (each["kind"], each["metadata"].get("namespace")): each["rules"]
            for each in helm.render(*values)
            if each["kind"] in ("Role", "ClusterRole") and each["metadata"]["name"].endswith("-operator")
        }

    assert granted() == {("Role", "test"): own + strimzi + watched}
    assert granted(*EXTERNAL) == {("Role", "test"): own + watched}
    assert granted(*EXTERNAL, "operator.watchNamespaces={a,b}") == {
        ("Role", "test"): own, ("Role", "a"): watched, ("Role", "b"): watched,
    }  # fmt: skip
    assert granted(*EXTERNAL, "operator.watchNamespaces={*}") == {
        ("Role", "test"): own, ("ClusterRole", None): watched,
    }  # fmt: skip


def secrets_of(objects: list[Object]) -> dict[tuple[str, str | None], list[str]]:
    """Return the names of Secrets that the operator may get, by the role; `*` for all."""
    found: dict[tuple[str, str | None], list[str]] = {}
    for role in (each for each in objects if each["kind"] in ("Role", "ClusterRole")):
        for rule in (each for each in role["rules"] if "secrets" in each["resources"]):
            assert rule["verbs"] == ["get"]
            named = rule.get("resourceNames", ["*"])
            assert named, "a rule with an empty list of names allows all"
            found.setdefault((role["kind"], role["metadata"].get("namespace")), []).extend(named)
    return found


def test_the_operator_reads_only_the_secrets_that_are_named(helm: Helm) -> None:
    only_named, more = "rbac.secrets.restricted=true", "rbac.secrets.names={desk,other}"
    strimzi = ["marketstream", "marketstream-cluster-ca-cert"]
    own = ["marketstream-connection"]
    assert secrets_of(helm.render()) == {("Role", "test"): ["*"]}
    assert secrets_of(helm.render(only_named)) == {("Role", "test"): own}
    assert secrets_of(helm.render(only_named, more, "kafka.strimzi.secure=true")) == {
        ("Role", "test"): [*own, *strimzi, "desk", "other"]
    }
    assert secrets_of(helm.render(only_named, "postgresql.mode=cnpg")) == {
        ("Role", "test"): [*own, "marketstream-postgresql-ca"]
    }
    assert secrets_of(helm.render(only_named, *EXTERNAL, "operator.watchNamespaces={a,test}")) == {
        ("Role", "test"): own,
    }  # fmt: skip
    assert secrets_of(helm.render(only_named, more, *EXTERNAL, "operator.watchNamespaces={*}")) == {
        ("Role", "test"): own, ("ClusterRole", None): ["desk", "other"],
    }  # fmt: skip
    assert secrets_of(helm.render(only_named, *EXTERNAL, "operator.watchNamespaces={*}")) == {("Role", "test"): own}


def test_the_definition_stays(helm: Helm) -> None:
    name = "CustomResourceDefinition"
    assert only(helm.render(), name)["metadata"]["annotations"]["helm.sh/resource-policy"] == "keep"
    assert "annotations" not in only(helm.render("crds.keep=false"), name)["metadata"]
    assert not [each for each in helm.render("crds.enabled=false") if each["kind"] == name]


def test_images_by_digest(helm: Helm) -> None:
    digest = f"sha256:{'a' * 64}"
    objects = helm.render(f"images.services.digest={digest}", "images.operator.tag=1.2.3")
    (container,) = only(objects, "Deployment", "marketstream-operator")["spec"]["template"]["spec"]["containers"]
    assert container["image"] == "marketstream/operator:1.2.3"
    assert environment(container)["SERVICES_IMAGE"] == f"marketstream/services@{digest}"


def test_names_follow_the_release(helm: Helm) -> None:
    names = {each["metadata"]["name"] for each in helm.render(name="prices") if each["kind"] == "Secret"}
    assert names == {"prices-marketstream-connection", "prices-marketstream-postgresql", "prices-marketstream-redis"}
    long = helm.render(name="a-release-with-a-name-that-is-quite-long")
    assert all(len(each["metadata"]["name"]) <= 63 for each in long)


def test_no_selector_rests_on_a_label_that_other_tools_overwrite(objects: list[Object]) -> None:
    own = [each for each in objects if each["metadata"]["labels"].get("app.kubernetes.io/part-of") == "marketstream"]
    assert len(own) > 10
    assert [found for each in own for found in selectors(each) if "app.kubernetes.io/managed-by" in str(found)] == []


def selectors(value: Any) -> Iterator[Any]:
    """Yield everything within an object that selects others by labels."""
    for key, child in value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ():
        if key in ("matchLabels", "matchExpressions", "selector"):
            yield child
        yield from selectors(child)
