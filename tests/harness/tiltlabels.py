"""The labels that Tilt writes on the objects that it applies (internal/k8s/label.go of Tilt 0.37)."""

from collections.abc import Iterable, Iterator
from copy import deepcopy
from typing import Any, Final

LABELS: Final = {"app.kubernetes.io/managed-by": "tilt"}

_CLAIMS: Final = "volumeClaimTemplates"


def as_applied(objects: Iterable[Any]) -> list[Any]:
    """Return the objects as Tilt applies them.

    Tilt sets its labels on objects and pod templates. In the selectors of Kubernetes' own kinds it overwrites those of
    its labels that are there. It leaves the selectors of custom resources, expressions and volume claims alone.
    """
    applied = deepcopy(list(objects))
    for each in applied:
        each["metadata"].setdefault("labels", {}).update(LABELS)
        if _is_custom(each):
            continue
        for template in _found(each, "template"):
            template.setdefault("metadata", {}).setdefault("labels", {}).update(LABELS)
        selectors = list(_found(each, "matchLabels"))
        if each["kind"] == "Service":
            selectors.append(each["spec"].get("selector", {}))
        for selector in selectors:
            selector.update({key: value for key, value in LABELS.items() if key in selector})
    return applied


def _is_custom(each: Any) -> bool:
    """Return True if Tilt knows the object only as unstructured data: definitions, and objects of their kinds."""
    group = each["apiVersion"].rpartition("/")[0]
    return "." in group and (not group.endswith(".k8s.io") or group == "apiextensions.k8s.io")


def _found(value: Any, name: str) -> Iterator[Any]:
    """Yield all values of this name within a value, but for those within volume claims."""
    children = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, child in children:
        if key == name:
            yield child
        if key != _CLAIMS:
            yield from _found(child, name)
