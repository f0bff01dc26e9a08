"""The words at the end of a service's last line: read back, documented, and nothing else is."""

from dataclasses import fields

import pytest
from marketstream.failures import CODES, Failure
from marketstream.settings import Settings

from tests.harness.needs import PROJECT


@pytest.mark.parametrize("code", CODES)
def test_every_code_is_read_back_and_documented(code: str) -> None:
    assert Failure.read(f"marketstream producer: anything {Failure(code).words}") == Failure(code)
    assert f"| `{code}` | {CODES[code]} |" in (PROJECT / "docs/reference/cli.md").read_text()


@pytest.mark.parametrize("name", [each.name.upper() for each in fields(Settings)])
def test_every_setting_is_read_back(name: str) -> None:
    failure = Failure("setting_invalid", name)
    assert Failure.read(f"it is wrong {failure.words}") == failure
    assert failure.meaning == f"a setting is missing or cannot be used ({name})"


@pytest.mark.parametrize(
    "line",
    ["", "an error", "[]", "[unknown_code]", "[setting_invalid PASSWORD]", "[setting_invalid PACK_MS] more",
     "[setting_invalid PACK_MS s3cret]", "setting_invalid PACK_MS"],
)  # fmt: skip
def test_other_lines_have_no_cause(line: str) -> None:
    assert Failure.read(line) is None
