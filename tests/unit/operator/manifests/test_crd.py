"""The CRD that is generated from the types."""

import json
from collections.abc import Iterator
from typing import Any

import msgspec
import pytest
from marketstream_operator.manifests.crd import crd, schema

VERSION = crd()["spec"]["versions"][0]
SCHEMA = VERSION["schema"]["openAPIV3Schema"]

APPLY_LIMIT = 262_144
"""Maximum bytes of all annotations of an object: `kubectl apply` stores the whole definition in one."""


def fields(path: str, found: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    yield path, found
    for name, field in found.get("properties", {}).items():
        yield from fields(f"{path}.{name}", field)
    for name in ("items", "additionalProperties"):
        if name in found:
            yield from fields(f"{path}[]", found[name])


SPEC = list(fields("spec", SCHEMA["properties"]["spec"]))
ALL = [*SPEC, *fields("status", SCHEMA["properties"]["status"])]


def test_kubectl_can_apply_it() -> None:
    assert len(json.dumps(crd())) < APPLY_LIMIT * 0.6


@pytest.mark.parametrize(("path", "found"), ALL, ids=[path for path, _ in ALL])
def test_a_field_is_described_and_bounded(path: str, found: dict[str, Any]) -> None:
    """Without bounds, the API server would assume the largest possible cost of an expression."""
    if not path.endswith("[]"):
        assert found["description"].endswith((".", "…", "marketstream.io/…")), "a sentence"
    match found.get("type"):
        case "array":
            assert "maxItems" in found
            assert "x-kubernetes-list-type" in found
        case "object":
            assert "properties" in found or "maxProperties" in found
        case "string":
            assert "enum" in found or "maxLength" in found
        case None:
            assert found["x-kubernetes-int-or-string"]
            assert "maxLength" in found
        case other:
            assert other in ("integer", "number", "boolean")


def test_what_is_not_given_gets_a_default_where_there_is_one() -> None:
    defaults = {path: field["default"] for path, field in SPEC if "default" in field}
    assert defaults == {
        "spec.symbolsPerPair": 1,
        "spec.paused": False,
        "spec.freshness": {},
        "spec.freshness.maxAge": "60s",
        "spec.retention": {},
        "spec.retention.trades": "24h",
        "spec.retention.onDelete": "delete",
        "spec.producer": {},
        "spec.producer.logLevel": "info",
        "spec.processor": {},
        "spec.processor.logLevel": "info",
    }


def test_a_new_stream_is_not_taken_for_ready() -> None:
    """By kstatus, and so by Helm, Flux and Argo CD."""
    conditions = VERSION["schema"]["openAPIV3Schema"]["properties"]["status"]["default"]["conditions"]
    assert {each["type"]: (each["status"], each["reason"]) for each in conditions} == {
        "Ready": ("Unknown", "Pending"),
        "Reconciling": ("True", "Pending"),
    }


def test_nothing_scales_it() -> None:
    assert VERSION["subresources"] == {"status": {}}


@pytest.mark.parametrize("kind", [bytes, int | float, str | int | bool])
def test_a_type_without_a_schema_is_refused(kind: Any) -> None:
    with pytest.raises(TypeError, match="in the schema: use another type"):
        schema(msgspec.inspect.type_info(kind))
