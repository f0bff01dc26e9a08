"""The roles of the generated rules, as the chart's templates make them."""

from typing import Any

from marketstream_operator.manifests.roles import AGGREGATE, PERMISSIONS, PolicyRule, Scope


def rules(scope: Scope) -> list[PolicyRule]:
    """Return the rules of the operator's role in a scope."""
    return [permission.rule() for permission in PERMISSIONS if permission.scope == scope]


def aggregate_role(name: str, role: str) -> dict[str, Any]:
    """Return the ClusterRole `name` that adds the rules of `view` or `edit` to the cluster's own roles."""
    to = ("view",) if role == "view" else ("edit", "admin")
    return {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "ClusterRole",
        "metadata": {
            "name": name,
            "labels": {f"rbac.authorization.k8s.io/aggregate-to-{target}": "true" for target in to},
        },
        "rules": list(AGGREGATE[role]),
    }
