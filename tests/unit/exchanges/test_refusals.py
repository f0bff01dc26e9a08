import pytest
from marketstream.exchanges import refusals
from marketstream.exchanges.refusals import LOGGED, REFUSED, Refusals

from tests.harness.samples import sample


def test_all_are_counted_and_only_the_first_are_logged(monkeypatch: pytest.MonkeyPatch) -> None:
    lines: list[dict[str, object]] = []

    class Log:
        def warning(self, event: str, **seen: object) -> None:
            lines.append({"event": event, **seen})

    monkeypatch.setattr(refusals, "log", Log())
    before = sample(REFUSED, reason="test")
    refuse = Refusals()
    for line in range(1000):
        refuse("test", file="f.csv", line=line)
    assert sample(REFUSED, reason="test") == before + 1000
    assert len(lines) == LOGGED + 1
    assert lines[3] == {"event": "trade refused", "reason": "test", "count": 1, "file": "f.csv", "line": 3}
    assert "counted but not logged" in str(lines[-1]["event"])
