"""Durations as a spec writes them: `90s`, `1h30m`, `7d`."""

import re
from functools import lru_cache
from typing import Final, NamedTuple

from marketstream_operator.resource.errors import SpecError

UNITS: Final = {"d": 86_400, "h": 3_600, "m": 60, "s": 1}
"""Seconds of each unit, in the order in which a duration lists them."""

PATTERN: Final = "^([0-9]{1,9}d)?([0-9]{1,9}h)?([0-9]{1,9}m)?([0-9]{1,9}s)?$"
"""A regular expression for Python and for the API server. The empty text matches as well."""

EXPECTED: Final = "a duration in days, hours, minutes and seconds, such as 60s, 5m, 1h30m or 7d"


class Bounds(NamedTuple):
    """The shortest and the longest duration allowed, as text."""

    least: str
    most: str


@lru_cache(maxsize=1_000)
def duration_s(text: str, field: str = "duration", bounds: Bounds | None = None) -> int:
    """Return the seconds of a duration such as `60s`, `5m`, `24h`, `7d` or `1h30m`.

    Raises SpecError for `field` when the text is not a duration, or not within the bounds.
    """
    found = re.fullmatch(PATTERN, text)
    if not text or found is None:
        raise SpecError(field, f"got {text!r}, expected {EXPECTED}")
    seconds = sum(int(part[:-1]) * UNITS[part[-1]] for part in found.groups() if part)
    if bounds and not duration_s(bounds.least) <= seconds <= duration_s(bounds.most):
        raise SpecError(field, f"got {text!r}, expected a duration from {bounds.least} to {bounds.most}")
    return seconds
