"""Gate: a search for a log event finds the one place in the code that writes it."""

import ast
from collections import defaultdict
from collections.abc import Iterable

from tests.style.sources import CODE, modules

LEVELS = ("debug", "info", "warning", "error", "exception", "critical")


def faults(sources: Iterable[tuple[str, ast.Module]]) -> list[str]:
    """Return one line for each event that several places log, and for each that is no constant of several words."""
    places = defaultdict(list)
    found = []
    for path, tree in sources:
        for node in ast.walk(tree):
            match node:
                case ast.Call(func=ast.Attribute(value=ast.Name(id="log"), attr=level), args=[event, *_]) if (
                    level in LEVELS
                ):
                    place = f"{path}:{event.lineno}"
                    match event:
                        case ast.Constant(value=str(text)) if " " in text:
                            places[text].append(place)
                        case _:
                            found.append(f"{place}: {ast.unparse(event)} is no constant of several words")
    return found + [f"{event!r} is logged in {', '.join(at)}" for event, at in places.items() if len(at) > 1]


def faults_of(*sources: str) -> list[str]:
    return faults((str(number), ast.parse(source)) for number, source in enumerate(sources))


def test_every_log_event_is_written_in_one_place() -> None:
    found = faults(modules(*CODE))
    assert not found, "\n".join(found)


def test_the_gate_reports_faults() -> None:
    assert not faults_of("log.info('pod deleted', pod='a')")
    assert faults_of("log.info('pod deleted')", "log.error('pod deleted')") == ["'pod deleted' is logged in 0:1, 1:1"]
    assert faults_of("log.warning('failed')") == ["0:1: 'failed' is no constant of several words"]
    assert faults_of("log.warning(event)") == ["0:1: event is no constant of several words"]
