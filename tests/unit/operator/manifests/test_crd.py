"""The CRD as it is made from the types, and as it is kept."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
import yaml
from marketstream_operator.manifests import generate, reference
from marketstream_operator.manifests.crd import crd, schema
from marketstream_operator.manifests.generate import crd_yaml, roles_yaml
from marketstream_operator.manifests.rules import OF_FIELD, OF_TYPE, ROOT

ROOT_DIRECTORY = Path(__file__).parents[4]
VERSION = crd()["spec"]["versions"][0]
SCHEMA = VERSION["schema"]["openAPIV3Schema"]

APPLY_LIMIT = 262_144
"""Bytes of all annotations of an object: `kubectl apply` keeps the whole definition in one."""


def fields(path: str, found: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    yield path, found
    for name, field in found.get("properties", {}).items():
        yield from fields(f"{path}.{name}", field)
    for name in ("items", "additionalProperties"):
        if name in found:
            yield from fields(f"{path}[]", found[name])


SPEC = list(fields("spec", SCHEMA["properties"]["spec"]))
ALL = [*SPEC, *fields("status", SCHEMA["properties"]["status"])]


def test_the_files_of_the_chart_are_what_the_code_says() -> None:
    for name, made in (("crd.yaml", crd_yaml()), ("roles.yaml", roles_yaml())):
        kept = (ROOT_DIRECTORY / generate.FILES / name).read_text(encoding="utf-8")
        assert kept == made, f"run make generate and commit {name}"


def test_the_yaml_says_the_same() -> None:
    assert yaml.safe_load(crd_yaml()) == crd()
    assert crd_yaml() == crd_yaml()


def test_kubectl_can_apply_it() -> None:
    assert len(json.dumps(crd())) < APPLY_LIMIT * 0.6


@pytest.mark.parametrize(("path", "found"), ALL, ids=[path for path, _ in ALL])
def test_a_field_is_described_and_bounded(path: str, found: dict[str, Any]) -> None:
    """Without bounds the API server would take the worst for the cost of an expression."""
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


def test_every_rule_has_found_its_place() -> None:
    written = [rule for _, field in [("", SCHEMA), *ALL] for rule in field.get("x-kubernetes-validations", ())]
    for rule in [*ROOT, *(rule for group in (*OF_TYPE.values(), *OF_FIELD.values()) for rule in group)]:
        assert rule in written
        assert rule["message"].strip()
        assert "\n" not in rule["message"]


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


def test_nothing_scales_it() -> None:
    assert VERSION["subresources"] == {"status": {}}


@pytest.mark.parametrize("kind", [bytes, int | float, str | int | bool])
def test_a_type_without_a_schema_is_refused(kind: Any) -> None:
    with pytest.raises(TypeError, match="in the schema: use another type"):
        schema(msgspec.inspect.type_info(kind))


def test_check_shows_what_differs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert sorted(name for tables in generate.DOCUMENTS.values() for name in tables) == sorted(reference.TABLES)
    for document, tables in generate.DOCUMENTS.items():
        (tmp_path / document).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / document).write_text("".join(f"<!-- {name} -->\n<!-- /{name} -->\n" for name in tables))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("sys.argv", ["generate", "--check"])
    assert generate.main() == 1

    monkeypatch.setattr("sys.argv", ["generate"])
    assert generate.main() == 0
    monkeypatch.setattr("sys.argv", ["generate", "--check"])
    capsys.readouterr()
    assert generate.main() == 0
    assert capsys.readouterr().out == ""

    path = tmp_path / generate.FILES / "crd.yaml"
    path.write_text(path.read_text(encoding="utf-8").replace("maxItems: 1000", "maxItems: 10"), encoding="utf-8")
    assert generate.main() == 1
    said = capsys.readouterr().out
    assert "-                maxItems: 10\n+                maxItems: 1000\n" in said
    assert "crd.yaml is out of date: run make generate and commit the result" in said
