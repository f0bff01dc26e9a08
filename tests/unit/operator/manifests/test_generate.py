"""The generated files: their content, and the check that they are up to date."""

from pathlib import Path

import pytest
import yaml
from marketstream_operator.manifests import generate, reference
from marketstream_operator.manifests.crd import crd
from marketstream_operator.manifests.generate import crd_yaml, roles_yaml

REPOSITORY = Path(__file__).parents[4]


def test_the_files_of_the_chart_are_up_to_date() -> None:
    for name, made in (("crd.yaml", crd_yaml()), ("roles.yaml", roles_yaml())):
        kept = (REPOSITORY / generate.FILES / name).read_text(encoding="utf-8")
        assert kept == made, f"run make generate and commit {name}"


def test_the_yaml_is_the_definition_and_always_the_same() -> None:
    assert yaml.safe_load(crd_yaml()) == crd()
    assert crd_yaml() == crd_yaml()


def test_check_shows_the_differences(
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
