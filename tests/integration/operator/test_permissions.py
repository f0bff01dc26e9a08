"""The generated roles are exactly what the operator uses.

With them, no request is denied; with one verb less, some request is.
"""

import asyncio
import secrets
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from marketstream_operator.manifests.roles import PERMISSIONS

from tests.harness.operator.api import Api
from tests.harness.operator.apiserver import ApiServer
from tests.harness.operator.life import STRIMZI, TOPICS, writes
from tests.harness.operator.proxy import Proxy
from tests.harness.operator.requests import Request
from tests.harness.operator.roles import rules
from tests.harness.operator.running import DEPLOYMENTS, STREAMS, Cluster, RunningOperator, until

RBAC = "/apis/rbac.authorization.k8s.io/v1"
ACCOUNT = "operator"
DENIED_S = 60.0

Rule = dict[str, list[str]]


class Use(NamedTuple):
    """A verb on a resource, as a role grants it."""

    resource: str
    verb: str

    def __str__(self) -> str:
        return f"{self.verb} {self.resource}"


GRANTED = [
    Use(rule["resources"][0], verb)
    for permission in PERMISSIONS
    for rule in [permission.rule()]
    for verb in rule["verbs"]
]


def uses(request: Request) -> list[Use]:
    """Return the verbs that a request needs."""
    of = request.resource
    if not of.plural:
        return []  # discovery, which is open to everyone
    resource = f"{of.plural}/{of.subresource}" if of.subresource else of.plural
    match request.method:
        case "GET" if request.watch:
            verbs = ["watch"]
        case "GET":
            verbs = ["get" if of.name else "list"]
        case "PATCH":
            verbs = ["patch", "create"] if request.status == 201 else ["patch"]  # a new object, by apply
        case method:
            verbs = [{"POST": "create", "PUT": "update", "DELETE": "delete"}[method]]
    return [Use(resource, verb) for verb in verbs]


async def grant(api: Api, namespace: str | None, allowed: Sequence[Rule], account_of: str) -> None:
    """Grant these rules to the account of the operator, in a namespace, or everywhere for None."""
    of = "" if namespace is None else f"/namespaces/{namespace}"
    kind, name = ("ClusterRole", account_of) if namespace is None else ("Role", ACCOUNT)
    path = f"{RBAC}{of}/{kind.lower()}"
    await api.request("POST", f"{path}s", {"metadata": {"name": name}, "rules": allowed})
    binding = {
        "metadata": {"name": name},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": kind, "name": name},
        "subjects": [{"kind": "ServiceAccount", "name": ACCOUNT, "namespace": account_of}],
    }
    await api.request("POST", f"{path}bindings", binding)


def less(allowed: list[Rule], use: Use | None) -> list[Rule]:
    """Return the rules without a verb."""
    fewer = [
        {**rule, "verbs": [verb for verb in rule["verbs"] if use != Use(rule["resources"][0], verb)]}
        for rule in allowed
    ]
    return [rule for rule in fewer if rule["verbs"]]


def own_rules(without: Use | None = None) -> list[Rule]:
    """Return the rules of an operator that serves its own namespace, without one verb."""
    return less([*rules("operatorNamespace"), *rules("watched"), *rules("strimzi")], without)


@asynccontextmanager
async def limited(
    cluster: Cluster, proxy: Proxy, directory: Path, **environment: str
) -> AsyncIterator[RunningOperator]:
    """An operator with the rights of its account."""
    user = await cluster.api.service_account(cluster.namespace, ACCOUNT)
    environment = {**STRIMZI, "RESYNC_S": "5", **environment}
    async with RunningOperator(directory, proxy.kubeconfig(user), cluster.namespace, **environment) as operator:
        yield operator


async def live(cluster: Cluster, limit: float) -> None:
    """Take the operator through everything that it can do."""
    await cluster.stream("majors", ["BTCUSDT", "ETHUSDT"])
    await cluster.has_deployments("majors", 4, limit)
    await cluster.says("majors", "SpecValid", "True", limit=limit)
    await cluster.change("majors", symbols=["ETHUSDT", "SOLUSDT"], producer={"labels": {"team": "a"}})
    await until(lambda: _has_topics(cluster, "ethusdt", "solusdt"), limit)
    await cluster.change("majors", paused=True)
    await cluster.says("majors", "Ready", "False", "Paused", limit=limit)
    await cluster.change("majors", paused=False, symbols=["ETHUSDT"], connectionSecretRef={"name": "none"})
    await cluster.says("majors", "SpecValid", "False", limit=limit)  # also reported by an Event
    await cluster.change("majors", connectionSecretRef=None)
    await cluster.says("majors", "SpecValid", "True", limit=limit)
    await until(lambda: _has_topics(cluster, "ethusdt"), limit)
    await cluster.change("majors", connectionSecretRef={"name": "none"})
    await cluster.says("majors", "SpecValid", "False", limit=limit)  # the same Event again
    await cluster.delete(STREAMS, "majors")


async def _has_topics(cluster: Cluster, *symbols: str) -> bool:
    found = {item["metadata"]["name"].rsplit(".", 1)[-1] for item in (await cluster.get(TOPICS))["items"]}
    return found == set(symbols)


def denied(proxy: Proxy) -> list[Request]:
    return [request for request in proxy.requests if request.status in (401, 403)]


async def test_a_whole_life_needs_what_the_roles_grant_and_no_more(
    connected_to_nobody: Cluster, strimzi: None, proxy: Proxy, tmp_path: Path
) -> None:
    cluster = connected_to_nobody
    await grant(cluster.api, cluster.namespace, own_rules(), cluster.namespace)
    async with limited(cluster, proxy, tmp_path) as operator:
        await operator.leading(60)
        await live(cluster, 60)

        async def used() -> bool:
            return {use for request in proxy.requests for use in uses(request)} >= set(GRANTED)

        await until(used, 60)
        assert denied(proxy) == []
    assert {use for request in proxy.requests for use in uses(request)} == set(GRANTED)


@pytest.mark.parametrize("use", GRANTED, ids=str)
async def test_with_one_verb_less_something_is_denied(
    connected_to_nobody: Cluster, strimzi: None, proxy: Proxy, use: Use, tmp_path: Path
) -> None:
    cluster = connected_to_nobody
    await grant(cluster.api, cluster.namespace, own_rules(use), cluster.namespace)

    def is_denied(request: Request) -> bool:
        # An apply is a patch and, of a new object, a creation: the server refuses the patch for both.
        needed = {*uses(request), *([Use(request.resource.plural, "create")] if request.method == "PATCH" else [])}
        return request.status == 403 and use in needed

    async with limited(cluster, proxy, tmp_path):
        living = asyncio.create_task(live(cluster, DENIED_S))
        try:
            await proxy.seen(is_denied, limit=DENIED_S)
        finally:
            living.cancel()
            await asyncio.gather(living, return_exceptions=True)


async def test_secrets_can_be_limited_to_names(
    connected_to_nobody: Cluster, strimzi: None, proxy: Proxy, tmp_path: Path
) -> None:
    """The rules of the chart with rbac.secrets.restricted. A stream with another Secret learns what to do."""
    cluster = connected_to_nobody
    await cluster.connect("127.0.0.1:1", "postgresql://x@127.0.0.1:1/none", "redis://127.0.0.1:1/0", name="another")
    named = {
        "apiGroups": [""],
        "resources": ["secrets"],
        "resourceNames": ["marketstream-connection"],
        "verbs": ["get"],
    }
    await grant(cluster.api, cluster.namespace, [*own_rules(Use("secrets", "get")), named], cluster.namespace)
    async with limited(cluster, proxy, tmp_path) as operator:
        await operator.leading(60)
        await cluster.stream("majors", ["BTCUSDT"])
        await cluster.has_deployments("majors", 2)
        await cluster.stream("minors", ["ETHUSDT"], connectionSecretRef={"name": "another"})
        said = await cluster.says("minors", "SpecValid", "False", "Invalid", words="add this one to the role")
        assert f"Secret {cluster.namespace}/another" in said
        await cluster.says("majors", "SpecValid", "True")


async def fed(cluster: Cluster, apiserver: ApiServer) -> Cluster:
    """Another namespace, with a connection Secret of its own."""
    other = Cluster(apiserver, await apiserver.namespace())
    await other.connect("127.0.0.1:1", "postgresql://nobody@127.0.0.1:1/none", "redis://127.0.0.1:1/0")
    return other


EXTERNAL = {"KAFKA_MODE": "external", "KAFKA_CLUSTER": "", "TOPICS_CREATE": "false"}


@pytest.mark.parametrize("serves", ["list", "all"])
async def test_served_namespaces_need_their_roles_and_no_more(
    connected_to_nobody: Cluster, apiserver: ApiServer, proxy: Proxy, serves: str, tmp_path: Path
) -> None:
    """A MarketStream in a namespace that is not served is left alone."""
    cluster = connected_to_nobody
    served, other = await fed(cluster, apiserver), await fed(cluster, apiserver)
    await grant(apiserver, cluster.namespace, rules("operatorNamespace"), cluster.namespace)
    if serves == "all":
        await grant(apiserver, None, rules("watched"), cluster.namespace)
    else:
        await grant(apiserver, served.namespace, rules("watched"), cluster.namespace)
    ref: Any = {"connectionSecretRef": {"name": "marketstream-connection"}}
    watch = "*" if serves == "all" else served.namespace
    async with limited(cluster, proxy, tmp_path, **EXTERNAL, WATCH_NAMESPACES=watch) as operator:
        await operator.leading(60)
        # Nobody collects the children of other tests, and an operator that serves everything waits for them to end.
        await other.stream("majors", [f"A{secrets.token_hex(4).upper()}"], **ref)
        await served.stream("minors", [f"B{secrets.token_hex(4).upper()}"], **ref)
        await served.has_deployments("minors", 2, 60)
        if serves == "all":
            await other.has_deployments("majors", 2, 60)
        else:
            await proxy.seen(lambda request: not request.watch and request.resource.plural == "pods", 3, limit=60)
            assert (await other.get(DEPLOYMENTS))["items"] == []
            assert (await other.condition("majors", "Ready"))[1] == "Pending"
        assert denied(proxy) == []
    for each in (served, other):
        await apiserver.delete_namespace(each.namespace)


@pytest.mark.parametrize("lost", [None, Use("deployments", "list")], ids=str)
async def test_a_namespace_that_refuses_is_left_alone_and_holds_up_no_other(
    connected_to_nobody: Cluster, apiserver: ApiServer, proxy: Proxy, lost: Use | None, tmp_path: Path
) -> None:
    """The namespace was deleted together with its RoleBinding, or only its Deployments cannot be listed.

    Streams of such a namespace must not be taken for streams without Deployments.
    """
    cluster = connected_to_nobody
    served, other = await fed(cluster, apiserver), await fed(cluster, apiserver)
    await grant(apiserver, cluster.namespace, rules("operatorNamespace"), cluster.namespace)
    for each in (served, other):
        await grant(apiserver, each.namespace, rules("watched"), cluster.namespace)
    ref: Any = {"connectionSecretRef": {"name": "marketstream-connection"}}
    watch = f"{other.namespace},{served.namespace}"
    async with limited(cluster, proxy, tmp_path, **EXTERNAL, WATCH_NAMESPACES=watch) as operator:
        await operator.leading(60)
        await other.stream("minors", ["BTCUSDT", "ETHUSDT"], **ref)
        await other.has_deployments("minors", 4)
        await operator.end()

        allowed = {"rules": [] if lost is None else less(rules("watched"), lost)}
        role = f"{RBAC}/namespaces/{{}}/roles"
        await other.patch(role, ACCOUNT, allowed)
        proxy.requests.clear()
        await operator.start()
        await operator.says("namespace refused", 60)
        await other.change("minors", symbols=["ETHUSDT"])
        await served.stream("majors", ["ADAUSDT"], **ref)
        await served.has_deployments("majors", 2)
        await served.change("majors", symbols=["ADAUSDT", "XRPUSDT"])
        await served.has_deployments("majors", 4)
        await proxy.seen(lambda request: not request.watch and request.resource.plural == "pods", 3)
        assert [request for request in writes(proxy) if f"/{other.namespace}/" in request.path] == []
        assert await operator.metric("marketstream_operator_watch_missed_total") == 0  # the watches continue as well
        said = [str(line["event"]) for line in operator.log()]
        assert sum("namespace refused" in line for line in said) == 1

        await other.patch(role, ACCOUNT, {"rules": rules("watched")})
        await other.has_deployments("minors", 2)
    for each in (served, other):
        await apiserver.delete_namespace(each.namespace)


async def test_strimzi_needs_its_role_in_kafkas_namespace_only(
    connected_to_nobody: Cluster, apiserver: ApiServer, strimzi: None, proxy: Proxy, tmp_path: Path
) -> None:
    """The status of a MarketStream elsewhere reports that it cannot be served there."""
    cluster = connected_to_nobody
    other = await fed(cluster, apiserver)
    await grant(apiserver, cluster.namespace, own_rules(), cluster.namespace)
    await grant(apiserver, other.namespace, rules("watched"), cluster.namespace)
    watch = f"{cluster.namespace},{other.namespace}"
    async with limited(cluster, proxy, tmp_path, WATCH_NAMESPACES=watch) as operator:
        await operator.leading(60)
        await cluster.stream("majors", ["BTCUSDT"])
        await other.stream("minors", ["ETHUSDT"], connectionSecretRef={"name": "marketstream-connection"})
        await cluster.has_deployments("majors", 2, 60)
        assert cluster.namespace in await other.says("minors", "SpecValid", "False", limit=60)
        assert denied(proxy) == []
    await apiserver.delete_namespace(other.namespace)
