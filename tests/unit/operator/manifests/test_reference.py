"""The generated tables of the reference."""

from dataclasses import fields

import pytest
from marketstream_operator.manifests.reference import TABLES, filled
from marketstream_operator.settings import OperatorSettings


def test_a_table_is_replaced_between_its_marks() -> None:
    document = "before\n<!-- settings -->\n| an old row |\n<!-- /settings -->\nafter\n"
    once = filled(document, ["settings"])
    assert once.startswith("before\n<!-- settings -->\n| variable |")
    assert once.endswith("|\n<!-- /settings -->\nafter\n")
    assert "an old row" not in once
    assert filled(once, ["settings"]) == once


def test_a_document_without_a_place_for_a_table_is_rejected() -> None:
    with pytest.raises(ValueError, match="expected <!-- spec --> and <!-- /spec --> in the document"):
        filled("no marks", ["spec"])


@pytest.mark.parametrize(("table", "columns"), [("spec", 3), ("status", 2), ("settings", 3), ("permissions", 4)])
def test_every_row_has_all_cells(table: str, columns: int) -> None:
    for row in TABLES[table]():
        assert row.replace("\\|", "").count("|") == columns + 1, row


def test_every_setting_has_a_row() -> None:
    rows = "\n".join(TABLES["settings"]())
    assert [each.name for each in fields(OperatorSettings) if f"| `{each.name.upper()}` |" not in rows] == []


def test_fields_of_both_workloads_are_listed_once() -> None:
    rows = list(TABLES["spec"]())
    assert len([row for row in rows if row.startswith("| `spec.producer, spec.processor` |")]) == 1
    assert [row for row in rows if row.startswith("| `….logLevel` | `info` |")] != []
    assert [row for row in rows if "spec.processor." in row] == []


def test_types_of_kubernetes_are_not_unfolded() -> None:
    assert [row for row in TABLES["spec"]() if row.startswith("| `….affinity.")] == []
