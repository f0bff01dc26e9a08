"""Everything here runs in virtual time."""

import pytest
from marketstream.backfill import attempts, pages, questions
from marketstream.processor import symbol

from tests.unit.virtual import VirtualClock


@pytest.fixture(autouse=True)
def virtual_clock(monkeypatch: pytest.MonkeyPatch) -> None:
    """Give virtual time to all modules that take part."""
    for module in (attempts, pages, questions, symbol):
        monkeypatch.setattr(module, "time", VirtualClock)
