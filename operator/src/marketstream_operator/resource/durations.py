"""Spans of time as a spec writes them, and the error of a spec that makes no sense."""

import re
from functools import lru_cache
from typing import Final, NamedTuple

UNITS: Final = {"d": 86_400, "h": 3_600, "m": 60, "s": 1}
"""Seconds of each unit, in the order in which they are written."""

PATTERN: Final = "^([0-9]{1,9}d)?([0-9]{1,9}h)?([0-9]{1,9}m)?([0-9]{1,9}s)?$"
"""For Python and for the API server. The empty text fits it, too."""

LONGEST: Final = 40
"""Characters of the longest text that fits."""

EXPECTED: Final = "a duration of days, hours, minutes and seconds, as 60s, 5m, 1h30m or 7d"


class SpecError(ValueError):
    """A spec that cannot work. `field` is its path, as `spec.symbols[1]`; `message` says what was given, what was
    expected and what to do. Its text is both."""

    def __init__(self, field: str, message: str) -> None:
        super().__init__(f"{field}: {message}")
        self.field = field
        self.message = message


class Bounds(NamedTuple):
    """The shortest and the longest of a duration, as they are written."""

    least: str
    most: str


@lru_cache(maxsize=1_000)
def duration_s(text: str, field: str = "duration", bounds: Bounds | None = None) -> int:
    """The seconds of `60s`, `5m`, `24h`, `7d`, `1h30m`. Raises SpecError for the field when it is no such text, or not
    within the bounds."""
    found = re.fullmatch(PATTERN, text)
    if not text or found is None:
        raise SpecError(field, f"got {text!r}, expected {EXPECTED}")
    seconds = sum(int(part[:-1]) * UNITS[part[-1]] for part in found.groups() if part)
    if bounds and not duration_s(bounds.least) <= seconds <= duration_s(bounds.most):
        raise SpecError(field, f"got {text!r}, expected from {bounds.least} to {bounds.most}")
    return seconds
