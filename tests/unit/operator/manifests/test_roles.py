"""The permissions of the operator, and the roles that are generated from them."""

from typing import get_args

import pytest
import yaml
from marketstream_operator.manifests.generate import roles_yaml
from marketstream_operator.manifests.roles import AGGREGATE, PERMISSIONS, Permission, Scope

from tests.harness.operator.roles import rules


def test_the_operator_may_do_this_and_nothing_else() -> None:
    """A change here concerns everyone who installs the operator."""
    granted = {
        (scope, rule["apiGroups"][0], rule["resources"][0], verb)
        for scope in get_args(Scope)
        for rule in rules(scope)
        for verb in rule["verbs"]
    }
    assert granted == {
        *(("operatorNamespace", "coordination.k8s.io", "leases", verb) for verb in ("get", "create", "update")),
        *(("watched", "marketstream.io", "marketstreams", verb) for verb in ("list", "watch")),
        ("watched", "marketstream.io", "marketstreams/status", "patch"),
        *(("watched", "apps", "deployments", verb) for verb in ("list", "watch", "create", "patch", "delete")),
        *(("watched", "", "pods", verb) for verb in ("list", "watch")),
        ("watched", "", "secrets", "get"),
        *(("watched", "", "events", verb) for verb in ("create", "patch")),
        *(("strimzi", "kafka.strimzi.io", "kafkatopics", v) for v in ("list", "watch", "create", "patch", "delete")),
    }


@pytest.mark.parametrize("permission", PERMISSIONS, ids=lambda permission: permission.rule()["resources"][0])
def test_each_says_why(permission: Permission) -> None:
    assert permission.why.endswith(".")
    assert f"  # {permission.why}\n" in roles_yaml()


def test_the_chart_reads_the_rules_by_their_scope() -> None:
    read = yaml.safe_load(roles_yaml())
    assert read.pop("aggregate") == {role: list(found) for role, found in AGGREGATE.items()}
    assert read == {scope: rules(scope) for scope in get_args(Scope)}


def test_people_see_market_streams_but_nobody_writes_a_status() -> None:
    assert set(AGGREGATE) == {"view", "edit"}
    for role in AGGREGATE.values():
        assert [rule["verbs"] for rule in role if rule["resources"] == ["marketstreams/status"]] == [["get"]]
