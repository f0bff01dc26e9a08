"""The part of PromQL that alerts and dashboard use: the metrics that an expression reads, and its resulting labels."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

AGGREGATIONS: Final = frozenset({"sum", "max", "min"})
FUNCTIONS: Final = frozenset({"rate", "increase", "min_over_time", "max_over_time", "absent", "time"})
LEVELS: Final = (("or",), ("and", "unless"), ("==", "!=", ">", "<", ">=", "<="), ("+", "-"), ("*", "/"))
"""Binary operators, from lowest to highest precedence."""

TARGET: Final = frozenset({"namespace", "pod"})
"""Labels that Prometheus adds to every scraped series."""

_TOKEN: Final = re.compile(
    r"""\s*(?:(?P<duration>\d+[smhd])|(?P<number>\d+(?:\.\d+)?)|(?P<name>[a-z_]\w*)|(?P<text>"[^"]*")"""
    r"""|(?P<sign>[=!]~|[=!<>]=|[-+*/<>=(){}\[\],]))"""
)

Labels = frozenset[str] | None
"""The labels of the series; None for a number."""


@dataclass(frozen=True, slots=True)
class Reading:
    """The metrics that an expression reads, and the labels of its result."""

    metrics: frozenset[str]
    labels: frozenset[str]
    """Labels that the text of an alert, or a legend, can use."""


class PromqlError(Exception):
    """The expression is not PromQL, uses an unsupported part of it, or uses labels that do not exist."""


def read(expression: str, known: Mapping[str, set[str]]) -> Reading:
    """Parse an expression; `known` has the labels of every metric. Raises PromqlError."""
    parser = _Parser(_tokens(expression), known)
    labels = parser.binary(0)
    parser.expect("")
    if labels is None:
        raise PromqlError("a number, not series")
    return Reading(frozenset(parser.metrics), labels)


def _tokens(expression: str) -> list[str]:
    found, position = [], 0
    while position < len(expression.rstrip()):
        match = _TOKEN.match(expression, position)
        if match is None:
            raise PromqlError(f"not understood: {expression[position:]}")
        found.append(match.group().strip())
        position = match.end()
    return [*found, ""]


class _Parser:
    """A recursive descent parser. Each method consumes tokens and returns the resulting labels."""

    def __init__(self, tokens: list[str], known: Mapping[str, set[str]]) -> None:
        self._tokens = tokens
        self._known = known
        self.metrics: set[str] = set()

    def expect(self, token: str) -> None:
        if self._take() != token:
            raise PromqlError(f"expected {token or 'the end'} before {' '.join(self._tokens)}")

    def binary(self, level: int) -> Labels:
        if level == len(LEVELS):
            return self._operand()
        left = self.binary(level + 1)
        while self._tokens[0] in LEVELS[level]:
            operator = self._take()
            on = self._label_list() if self._took("on") else None
            if grouped := self._took("group_left"):
                self._label_list()
            left = _combined(operator, left, self.binary(level + 1), on, grouped=grouped)
        return left

    def _operand(self) -> Labels:
        word = self._take()
        if word == "(":
            labels = self.binary(0)
            self.expect(")")
            return labels
        if word[:1].isdigit():
            return None
        if word in AGGREGATIONS:
            return self._aggregation()
        if word == "histogram_quantile":
            return self._quantile()
        if word in FUNCTIONS:
            self.expect("(")
            labels = None if self._tokens[0] == ")" else self.binary(0)
            self.expect(")")
            return frozenset() if word == "absent" else labels
        return self._selector(word)

    def _aggregation(self) -> Labels:
        by = self._label_list() if self._took("by") else frozenset()
        self.expect("(")
        labels = self.binary(0)
        self.expect(")")
        _check(by, labels)
        return by

    def _quantile(self) -> Labels:
        self.expect("(")
        if self.binary(0) is not None:
            raise PromqlError("a quantile is a number")
        self.expect(",")
        labels = self.binary(0) or frozenset()
        self.expect(")")
        _check({"le"}, labels)
        return labels - {"le"}

    def _selector(self, metric: str) -> Labels:
        if metric not in self._known:
            raise PromqlError(f"nobody counts {metric}")
        self.metrics.add(metric)
        labels = TARGET | self._known[metric]
        if self._took("{"):
            while not self._took("}"):
                _check({self._take()}, labels)
                if self._take() not in ("=", "!=", "=~", "!~"):
                    raise PromqlError(f"a matcher of {metric}")
                self._take()
                self._took(",")
        if self._took("["):
            self._take()
            self.expect("]")
        if self._took("offset"):
            self._take()
        return labels

    def _label_list(self) -> frozenset[str]:
        self.expect("(")
        found = set[str]()
        while not self._took(")"):
            found.add(self._take())
            self._took(",")
        return frozenset(found)

    def _take(self) -> str:
        return self._tokens.pop(0) if self._tokens else ""

    def _took(self, token: str) -> bool:
        if self._tokens[0] != token:
            return False
        self._take()
        return True


def _combined(operator: str, left: Labels, right: Labels, on: frozenset[str] | None, *, grouped: bool) -> Labels:
    """Return the labels of the result of a binary operator. Raises PromqlError if its sides can never match."""
    if left is None or right is None:
        return right if left is None else left
    if operator == "or":
        return left & right
    if on is not None:
        _check(on, left)
        _check(on, right)
    elif left != right:
        raise PromqlError(f"both sides of {operator} have labels of their own: {sorted(left ^ right)}")
    if on is None or grouped or operator in ("and", "unless"):
        return left
    return on


def _check(wanted: set[str] | frozenset[str], there: Labels) -> None:
    missing = wanted - (there or frozenset())
    if missing:
        raise PromqlError(f"there is no label {', '.join(sorted(missing))}, only {sorted(there or ())}")
