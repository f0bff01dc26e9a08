"""The rights of the cluster's own roles on MarketStreams, and the role of the operator."""

from pathlib import Path

import httpx
import pytest

from tests.harness.operator.apiserver import ApiServer
from tests.harness.operator.roles import aggregate_role, rules
from tests.harness.operator.running import until

CRD = Path(__file__).parents[3] / "charts/marketstream/files/crd.yaml"
RBAC = "/apis/rbac.authorization.k8s.io/v1"


async def allowed(server: ApiServer, user: str, namespace: str, verb: str, resource: str = "marketstreams") -> bool:
    """Return True if a user may use this verb on resources of marketstream.io."""
    return await server.allowed(user, namespace, verb, resource, "marketstream.io")


async def bound(server: ApiServer, namespace: str, role: str) -> str:
    """Return a new account that has a role of the cluster in the namespace."""
    user = await server.service_account(namespace, role)
    await server.request(
        "POST",
        f"{RBAC}/namespaces/{namespace}/rolebindings",
        {
            "metadata": {"name": role},
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": role},
            "subjects": [{"kind": "ServiceAccount", "name": role, "namespace": namespace}],
        },
    )
    return user


WRITE = ("create", "update", "patch", "delete", "deletecollection")


@pytest.mark.parametrize(("role", "may_write"), [("view", False), ("edit", True), ("admin", True)])
async def test_the_roles_of_the_cluster_include_market_streams(
    apiserver: ApiServer, namespace: str, role: str, may_write: bool
) -> None:
    await apiserver.kubectl("apply", "-f", str(CRD))
    made = [aggregate_role(f"{namespace}-{part}", part) for part in ("view", "edit")]
    for one in made:
        await apiserver.request("POST", f"{RBAC}/clusterroles", one)
    user = await bound(apiserver, namespace, role)
    try:
        async with apiserver.controller_manager("clusterrole-aggregation-controller"):
            await until(lambda: allowed(apiserver, user, namespace, "create" if may_write else "get"), 60)

        for verb in ("get", "list", "watch"):
            assert await allowed(apiserver, user, namespace, verb)
        for verb in WRITE:
            assert await allowed(apiserver, user, namespace, verb) is may_write
        assert await allowed(apiserver, user, namespace, "get", "marketstreams/status")
        for verb in ("update", "patch"):
            assert not await allowed(apiserver, user, namespace, verb, "marketstreams/status")
    finally:
        for one in made:
            await apiserver.request("DELETE", f"{RBAC}/clusterroles/{one['metadata']['name']}")


async def test_the_rules_of_the_operator_are_a_role(apiserver: ApiServer, kinds: None, namespace: str) -> None:
    """With these rules, its account may read MarketStreams and write their status, but not change their specs."""
    user = await apiserver.service_account(namespace, "operator")
    everything = [*rules("operatorNamespace"), *rules("watched"), *rules("strimzi")]
    await apiserver.request(
        "POST", f"{RBAC}/namespaces/{namespace}/roles", {"metadata": {"name": "operator"}, "rules": everything}
    )
    await apiserver.request(
        "POST",
        f"{RBAC}/namespaces/{namespace}/rolebindings",
        {
            "metadata": {"name": "operator"},
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "operator"},
            "subjects": [{"kind": "ServiceAccount", "name": "operator", "namespace": namespace}],
        },
    )

    await until(lambda: allowed(apiserver, user, namespace, "list"))
    path = f"/apis/marketstream.io/v1alpha1/namespaces/{namespace}/marketstreams"
    assert (await apiserver.request("GET", path, user=user))["items"] == []
    assert await allowed(apiserver, user, namespace, "patch", "marketstreams/status")
    for verb in ("get", *WRITE):
        assert not await allowed(apiserver, user, namespace, verb)
    with pytest.raises(httpx.HTTPStatusError, match="403"):
        await apiserver.request("GET", "/apis/marketstream.io/v1alpha1/marketstreams", user=user)
