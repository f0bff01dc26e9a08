"""The Tiltfile with each of its options: images, objects, dependencies and refusals."""

import asyncio
import json
import os
import re
import subprocess
from dataclasses import dataclass, replace
from itertools import product
from pathlib import Path

import pytest
from marketstream_operator.names import ROLES, labels

from tests.chart.policies import selects
from tests.harness.operator.apiserver import ApiServer
from tests.harness.operator.assets import Assets
from tests.harness.operator.proxy import Proxy
from tests.tilt.conftest import Read
from tests.tilt.tilt import TiltError, Tiltfile

LOAD = {"MARKETSTREAM_IMAGE_LOAD": "/somewhere/load"}
SITE = "/app/lib/python3.11/site-packages"
OFFLINE = ("--builder", "buildah", "--kafka", "dev", "--exchange", "simulator")


@pytest.mark.parametrize(
    ("builder", "kafka", "exchange"),
    list(product(("docker", "buildah"), ("strimzi", "dev"), ("binance", "simulator"))),
)
def test_every_choice_is_one_that_tilt_accepts(read: Read, builder: str, kafka: str, exchange: str) -> None:
    tilt = read("--builder", builder, "--kafka", kafka, f"--exchange={exchange}", environment=LOAD)
    assert tilt.complaints() == []
    assert {*tilt.images} == {"marketstream/services", "marketstream/operator"}
    assert tilt.names() >= {"operator", "api", "postgresql", "redis", "kafka", "pause", "resume"}
    assert all(each["labels"] for each in (tilt.resources | tilt.commands).values()), "without a group"


def test_without_options(read: Read) -> None:
    tilt = read()
    assert {each["by"] for each in tilt.images.values()} == {"docker_build"}
    assert "strimzi" in tilt.resources
    assert "majors" in tilt.resources


def test_reading_again_gives_the_same_and_is_not_triggered_by_its_output(read: Read, project: Path) -> None:
    first, second = read(*OFFLINE, environment=LOAD), read(*OFFLINE, environment=LOAD)
    assert first.objects == second.objects
    written = project / "dist" / "tilt" / "chart"
    assert written.is_dir()
    watched = [project / each for each in second.watched]
    assert [each for each in watched if written.is_relative_to(each) or each.is_relative_to(written)] == []
    assert {"charts/marketstream", "charts/with-dependencies", "manifests/simulator.yaml"} <= set(second.watched)


# --- contexts and options ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "context", ["kind-kind", "kind-other", "k3d-a", "minikube", "docker-desktop", "offline-cluster"]
)
def test_local_contexts(read: Read, context: str) -> None:
    tilt = read("--kafka", "dev", context=context, namespace="mine")
    assert tilt.allowed == [context]
    assert {each["metadata"].get("namespace", "mine") for each in tilt.objects} == {"mine"}
    kubectl = f"kubectl --context {context} --namespace mine"
    assert all(kubectl in " ".join([*command["cmd"], *command["serve_cmd"]]) for command in tilt.commands.values())


@pytest.mark.parametrize("context", ["production", "gke_a_b_c", "", "my-kind-kind", "minikube2", "arn:aws:eks:cluster"])
def test_other_contexts_are_refused(read: Read, context: str) -> None:
    with pytest.raises(TiltError, match=f"the kube context {re.escape(context)} is not known to be a local cluster"):
        read("--kafka", "dev", context=context)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--kafka", "redpanda"), "--kafka is redpanda, but must be strimzi or dev"),
        (("--exchange", "kraken"), "--exchange is kraken, but must be binance or simulator"),
        (("--builder", "podman"), "--builder is podman, but must be docker or buildah"),
        (("--builder", "buildah", "--kafka", "dev"), "Set it with --image-load or MARKETSTREAM_IMAGE_LOAD"),
        (("--colour", "red"), "flag provided but not defined"),
    ],
)
def test_invalid_options_are_rejected(read: Read, arguments: tuple[str, ...], message: str) -> None:
    with pytest.raises(TiltError, match=re.escape(message)):
        read(*arguments)


# --- images -----------------------------------------------------------------------------------------------------------


def test_docker_builds_the_target_for_tilt(read: Read) -> None:
    for name, image in read("--kafka", "dev").images.items():
        assert image["by"] == "docker_build"
        assert image["target"] == "dev"
        assert image["dockerfile"] == f"{name.removeprefix('marketstream/')}/Dockerfile"


@pytest.mark.parametrize(
    ("arguments", "environment", "command"),
    [
        ((), LOAD, 'docker build -f {} --target dev -t "$EXPECTED_REF" . && /somewhere/load "$EXPECTED_REF"'),
        (
            ("--builder", "buildah"),
            LOAD,
            'buildah build --layers -f {} --target dev -t "$EXPECTED_REF" . && /somewhere/load "$EXPECTED_REF"',
        ),
        (
            ("--builder", "buildah", "--image-load", "echo $EXPECTED_REF | load"),
            LOAD | {"MARKETSTREAM_IMAGE_BUILD": "/somewhere/bud"},
            '/somewhere/bud -f {} --target dev -t "$EXPECTED_REF" . && echo $EXPECTED_REF | load',
        ),
    ],
    ids=["docker", "buildah", "a builder of one's own"],
)
def test_a_command_loads_the_image_into_the_node(
    read: Read, arguments: tuple[str, ...], environment: dict[str, str], command: str
) -> None:
    for name, image in read("--kafka", "dev", *arguments, environment=environment).images.items():
        assert image["by"] == "custom_build"
        assert image["command"] == command.format(f"{name.removeprefix('marketstream/')}/Dockerfile")
        assert image["skips_local_docker"]
        assert image["disable_push"]


def test_the_image_in_the_operator_s_environment_is_rewritten_too(read: Read) -> None:
    tilt = read("--kafka", "dev")
    (operator,) = [each for each in tilt.objects if each["metadata"]["name"] == "marketstream-operator"
                   and each["kind"] == "Deployment"]  # fmt: skip
    (container,) = operator["spec"]["template"]["spec"]["containers"]
    environment = {each["name"]: each.get("value") for each in container["env"]}
    assert environment["SERVICES_IMAGE"].split(":")[0] in tilt.images
    assert all(image["match_in_env_vars"] for image in tilt.images.values())


# --- changed sources --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["services", "operator"])
def test_changed_files_restart_the_service(read: Read, project: Path, name: str) -> None:
    image = read("--kafka", "dev").images[f"marketstream/{name}"]
    written = {
        step["remote_path"]: project / step["paths"][0] for step in image["live_update"] if step["step"] == "sync"
    }
    for remote, local in written.items():
        assert remote == f"{SITE}/{local.name}"
        assert (local / "__init__.py").is_file()
    (entrypoint,) = re.findall(
        r'^ENTRYPOINT \["sh", "-c", (".*"), "sh"\]$', (project / name / "Dockerfile").read_text(), re.MULTILINE
    )
    assert set(json.loads(entrypoint).split('"')[2].split()) == set(written)


def test_containers_for_development_are_writable(read: Read) -> None:
    tilt = read("--kafka", "dev")
    for each in tilt.objects:
        if each["kind"] == "Deployment":
            (container,) = each["spec"]["template"]["spec"]["containers"]
            assert container["securityContext"]["readOnlyRootFilesystem"] is False
            assert "command" not in container, "the image's own entry point restarts the service"
            environment = {one["name"]: one.get("value") for one in container["env"]}
            assert environment.get("WRITABLE_ROOT", "true") == "true"


@pytest.mark.parametrize("role", ["producer", "processor"])
def test_pods_of_streams_belong_to_the_operator_alone(read: Read, role: str) -> None:
    """Tilt updates the sources of pods in the resource that has their image, and shows logs once for each resource."""
    tilt = read("--kafka", "dev")
    for stream in ("majors", "another"):
        pod = labels(stream, "binance", role, "btcusdt-19aa1")  # type: ignore[arg-type]
        assert tilt.shown_in(pod, f"{stream}:marketstream") == ["operator"]
    for component in ("api", "redis", "postgresql", "operator"):
        own = {"app.kubernetes.io/name": "marketstream", "app.kubernetes.io/component": component}
        assert tilt.shown_in(own, "none") == []


def test_the_policies_match_the_pods_of_streams_as_tilt_applies_them(read: Read) -> None:
    """Tilt overwrites labels in selectors, but not those of pods that the operator creates."""
    applied = read("--kafka", "dev").applied()
    policies = {each["metadata"]["name"]: each["spec"] for each in applied if each["kind"] == "NetworkPolicy"}
    for role in ROLES:
        pod = labels("majors", "binance", role, "btcusdt-19aa1")
        assert selects(policies[f"marketstream-{role}"]["podSelector"], pod)
    peers = [peer["podSelector"] for rule in policies["marketstream-postgresql"]["ingress"] for peer in rule["from"]]
    assert any(selects(peer, labels("majors", "binance", "processor", "p0")) for peer in peers)


def test_changed_packages_of_the_page_need_a_new_image(read: Read, project: Path) -> None:
    image = read("--kafka", "dev").images["marketstream/services"]
    (step,) = [each for each in image["live_update"] if each["step"] == "fall_back_on"]
    assert [Path(each).name for each in step["paths"]] == ["package.json", "package-lock.json"]
    assert all((project / each).is_file() for each in step["paths"])


# --- installed objects ------------------------------------------------------------------------------------------------


def kinds_of(tilt: Tiltfile, resource: str) -> set[str]:
    return {each.split(":")[1] for each in tilt.resource_of(resource)["objects"]}


def test_a_plain_broker(read: Read) -> None:
    tilt = read("--kafka", "dev")
    (broker,) = [each for each in tilt.objects if each["kind"] == "StatefulSet" and each["metadata"]["name"] == "kafka"]
    pod = broker["spec"]["template"]["spec"]
    assert pod["containers"][0]["image"] == "docker.io/apache/kafka:4.3.1"
    assert pod["enableServiceLinks"] is False
    assert not [each for each in tilt.objects if "strimzi" in each["apiVersion"]]
    assert "strimzi" not in tilt.resources
    assert not [each for each in tilt.ran if each.startswith("helm pull")]


def test_strimzi(read: Read) -> None:
    tilt = read("--kafka", "strimzi")
    pulled = [each for each in tilt.ran if each.startswith("helm pull")]
    into = "charts/marketstream/charts"
    chart = "oci://quay.io/strimzi-helm/strimzi-kafka-operator"
    assert pulled == [f"helm pull {chart} --version 1.2.0 --destination {into} || true"]
    assert not [each for each in tilt.objects if each["kind"] == "StatefulSet" and each["metadata"]["name"] == "kafka"]
    assert tilt.resource_of("strimzi-crds-definitions")["objects"] == [
        "kafkas.kafka.strimzi.io:customresourcedefinition"
    ]
    assert tilt.commands["strimzi-crds"]["cmd"][-2:] == ["--timeout=10s", "crd/kafkas.kafka.strimzi.io"]
    assert "strimzi-crds" in tilt.resource_of("strimzi")["resource_deps"]
    kafka = tilt.resource_of("kafka")
    assert kinds_of(tilt, "kafka") == {"kafka", "kafkanodepool"}
    assert kafka["resource_deps"] == ["strimzi"]
    assert kafka["pod_readiness"] == "wait"
    assert kafka["extra_pod_selectors"] == [{"strimzi.io/cluster": "marketstream"}]


def test_strimzi_is_fetched_once(read: Read) -> None:
    read("--kafka", "strimzi")
    assert not [each for each in read("--kafka", "strimzi").ran if each.startswith("helm pull")]


def test_strimzi_that_cannot_be_fetched(read: Read) -> None:
    with pytest.raises(
        TiltError, match=r"cannot be downloaded from oci://quay.io/strimzi-helm: see above\. --kafka dev needs"
    ):
        read("--kafka", "strimzi", pull=lambda: None)


def test_the_sample_comes_after_its_definition(read: Read) -> None:
    tilt = read("--kafka", "dev")
    assert tilt.resource_of("marketstream-crd-definitions")["objects"] == [
        "marketstreams.marketstream.io:customresourcedefinition"
    ]
    waits = tilt.commands["marketstream-crd"]
    assert waits["cmd"][-4:] == [
        "wait", "--for=condition=Established", "--timeout=10s", "crd/marketstreams.marketstream.io",
    ]  # fmt: skip
    assert waits["resource_deps"] == ["marketstream-crd-definitions"]
    assert tilt.resource_of("majors")["resource_deps"] == ["marketstream-crd", "operator"]
    assert "marketstream-crd" in tilt.resource_of("operator")["resource_deps"]


@pytest.mark.parametrize(("exchange", "stream"), [("binance", "majors"), ("simulator", "simulated")])
def test_the_exchange(read: Read, exchange: str, stream: str) -> None:
    tilt = read("--kafka", "dev", "--exchange", exchange)
    (sample,) = [each for each in tilt.objects if each["kind"] == "MarketStream"]
    assert sample["metadata"]["name"] == stream
    assert sample["spec"]["exchange"] == exchange
    named = json.dumps([each for each in tilt.objects if each["kind"] == "Deployment"])
    assert named.count(json.dumps({"name": "DEFAULT_EXCHANGE", "value": exchange})) == 2
    ready = tilt.commands[f"{stream}-ready"]
    assert ready["cmd"][-1] == f"marketstream/{stream}"
    assert ready["resource_deps"] == [stream]


def test_nothing_that_only_helm_runs(read: Read) -> None:
    hooks = [each for each in read().objects if "helm.sh/hook" in each["metadata"].get("annotations", {})]
    assert hooks == []


@dataclass(frozen=True)
class Wait:
    """The command that waits for the definition, run with the real kubectl in a copy of its environment."""

    command: list[str]
    path: str

    def run(self, kubeconfig: Path) -> "subprocess.CompletedProcess[str]":
        environment = {"PATH": self.path, "KUBECONFIG": str(kubeconfig), "HOME": str(kubeconfig.parent)}
        return subprocess.run(self.command, env=environment, capture_output=True, text=True, timeout=60, check=False)


@pytest.fixture
def wait(read: Read, assets: Assets) -> Wait:
    """Return the command of the Tiltfile, with the context that the harness writes."""
    command = read("--kafka", "dev").commands["marketstream-crd"]["cmd"]
    given = [each for each in command if each not in ("--context", "kind-kind")]
    return Wait(given, f"{assets.kubectl.parent}{os.pathsep}{os.environ['PATH']}")


async def test_a_definition_that_cannot_be_read_yet_is_waited_for(wait: Wait, kinds: None, proxy: Proxy) -> None:
    """Tilt starts the command within milliseconds of the apply. kubectl wait fails at once until there is a status."""
    with proxy.answer(404, "GET", "/customresourcedefinitions", count=2):
        done = await asyncio.to_thread(wait.run, proxy.kubeconfig())
    assert done.returncode == 0, done.stderr
    assert "condition met" in done.stdout


async def test_the_wait_for_a_definition_has_a_limit(wait: Wait, apiserver: ApiServer) -> None:
    script = next(each for each in wait.command if " + 120" in each)
    missing = [each.replace(" + 120", " + 1").replace("crd/marketstreams", "crd/missing") for each in wait.command]
    assert script not in missing
    done = await asyncio.to_thread(replace(wait, command=missing).run, apiserver.kubeconfig())
    assert done.returncode == 1
    assert "NotFound" in done.stderr


async def test_a_real_api_accepts_it(read: Read, apiserver: ApiServer, kinds: None, namespace: str) -> None:
    """Every object is accepted in a namespace that enforces the restricted standard, without a warning."""
    restricted = {"metadata": {"labels": {"pod-security.kubernetes.io/enforce": "restricted"}}}
    await apiserver.request(
        "PATCH", f"/api/v1/namespaces/{namespace}", restricted, content_type="application/merge-patch+json"
    )
    tilt = read("--kafka", "dev", "--exchange", "simulator", namespace=namespace)
    listed = {"apiVersion": "v1", "kind": "List", "items": tilt.applied()}
    await apiserver.kubectl(
        "apply", "--namespace", namespace, "--server-side", "--force-conflicts", "--dry-run=server",
        "--validate=strict", "--warnings-as-errors", "-f", "-", input=json.dumps(listed),
    )  # fmt: skip


# --- links and buttons -----------------------------------------------------------------------------------------------


def test_ports_and_links(read: Read) -> None:
    tilt = read("--kafka", "dev")
    links = {name: found for name in tilt.resources | tilt.commands if (found := tilt.links_of(name))}
    assert links == {
        "api": ["http://localhost:8000/docs", "http://localhost:8000/dashboard"],
        "postgresql-port": ["postgresql://marketstream:marketstream@localhost:5432/marketstream"],
        "redis-port": ["redis://:marketstream@localhost:6379/0"],
    }


@pytest.mark.parametrize(("name", "port"), [("postgresql", 5432), ("redis", 6379)])
def test_a_port_without_http_is_forwarded_again_after_its_pod(read: Read, tmp_path: Path, name: str, port: int) -> None:
    """A kubectl in its place ends twice, as the real one does when the pod behind the port ends."""
    calls = tmp_path / "calls"
    program = tmp_path / "kubectl"
    program.write_text(f'#!/bin/sh\necho "$@" >>{calls}\n[ "$(wc -l <{calls})" -lt 3 ] || kill "$PPID"\n')
    program.chmod(0o755)
    command = read("--kafka", "dev").commands[f"{name}-port"]
    assert command["resource_deps"] == [name]
    path = f"{tmp_path}{os.pathsep}{os.environ['PATH']}"
    subprocess.run(command["serve_cmd"], env={"PATH": path}, timeout=30, check=False)
    arguments = f"--context kind-kind --namespace default port-forward service/marketstream-{name} {port}"
    assert calls.read_text().splitlines() == [arguments] * 3


@pytest.mark.parametrize(("name", "paused"), [("pause", True), ("resume", False)])
def test_buttons(read: Read, name: str, paused: bool) -> None:
    button = read("--kafka", "dev").commands[name]
    assert button["trigger_mode"] == "manual"
    assert button["auto_init"] is False, "tilt ci would wait for it"
    assert button["cmd"][5:-1] == ["patch", "marketstream", "majors", "--type=merge", "--patch"]
    assert json.loads(button["cmd"][-1]) == {"spec": {"paused": paused}}


def test_timeouts_suit_a_slow_laptop(read: Read) -> None:
    tilt = read("--kafka", "dev")
    assert tilt.settings["ci"] == {"k8s_grace_period": "5m", "timeout": "45m", "readiness_timeout": "15m"}
    assert tilt.settings["update"] == {"k8s_upsert_timeout_secs": 120}
    assert tilt.settings["version"]["constraint"] == ">=0.35.0", "readiness_timeout is not known before"


def test_the_product_s_name_is_not_redacted_in_the_logs(read: Read) -> None:
    """Tilt redacts the contents of Secrets in logs, and the passwords for development are the product's name."""
    assert read("--kafka", "dev").settings["secret"] == {"disable_scrub": True}
