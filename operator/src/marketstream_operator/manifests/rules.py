"""Checks of the API server beyond the schema: CEL expressions, each with a message that says what to do.

The expressions are kept cheap: the API server rejects a CRD whose expressions could take long for the largest object
that the schema allows. Symbols that share a topic, for example, are found by `resource.validation` only.
"""

from typing import Any, Final

from marketstream_operator.resource.durations import EXPECTED, PATTERN, UNITS, Bounds, duration_s
from marketstream_operator.resource.pods import EnvVar, EnvVarSource, Toleration
from marketstream_operator.resource.spec import (
    EXCHANGES,
    MAX_AGE,
    RETENTION,
    TUNING,
    Endpoints,
    Freshness,
    Retention,
    Spec,
    Workload,
)
from marketstream_operator.resource.validation import RESERVED_ENV, RESERVED_PREFIXES, TUNED

CelRule = dict[str, Any]
"""An entry of `x-kubernetes-validations`: the expression, its message and, where given, the field that it is about."""

LONGEST_NAME: Final = 40
"""Maximum characters of the name of a MarketStream.

The names of its Deployments add the pair and `-processor`, and the names of its pods add more.
"""


def rule(expression: str, message: str, *, computed: str = "", path: str = "") -> CelRule:
    """Return a rule for the API server.

    `computed` is an expression for a message that names the given value. `path` is the field at fault, relative to the
    field that has the rule.
    """
    found: CelRule = {"rule": expression, "message": message}
    if computed:
        found["messageExpression"] = computed
    if path:
        found["fieldPath"] = path
    return found


def text(value: str) -> str:
    """Return a string as a literal of an expression."""
    return "'" + value.replace("\\", "\\\\").replace("'", "\\'") + "'"


def seconds() -> str:
    """Return an expression for the seconds of a duration.

    CEL's own `duration()` knows no days. A missing part counts as 0.
    """
    parts = [f"int('0' + self.find('[0-9]+{unit}').replace('{unit}', ''))" for unit in UNITS]
    return " + ".join(f"{part} * {s}" if s > 1 else part for part, s in zip(parts, UNITS.values(), strict=True))


def duration_rules(bounds: Bounds) -> list[CelRule]:
    """Return the rules for a duration within bounds."""
    least, most = duration_s(bounds.least), duration_s(bounds.most)
    return [
        rule(f"self.matches({text(PATTERN)})", f"expected {EXPECTED}"),
        rule(
            f"!self.matches({text(PATTERN)}) || [{seconds()}].exists(s, s >= {least} && s <= {most})",
            f"expected a duration from {bounds.least} to {bounds.most}",
        ),
    ]


def symbol_rule(exchange: str) -> CelRule:
    """Return the rule for the spelling of the symbols of an exchange."""
    spelling = EXCHANGES[exchange]
    wrong = f"(s.size() > {spelling.longest} || !s.matches({text(spelling.any_script)}))"
    expected = f"expected a symbol of {exchange}: {spelling.expected}"
    return rule(
        f"self.exchange != {text(exchange)} || !self.symbols.exists(s, {wrong})",
        expected,
        computed=f"'got ' + self.symbols.filter(s, {wrong})[0] + {text(', ' + expected)}",
        path=".symbols",
    )


def endpoint_rule(schemes: str, example: str) -> CelRule:
    """Return the rule for an address that consists of a scheme, a host and a port."""
    return rule(
        f"self == '' || self.matches('^{schemes}://[^/?#[:space:]]+$')",
        f"expected scheme, host and port without a path, such as {example}",
    )


NOT_RESERVED: Final = rule(
    f"self.all(key, {' && '.join(f'!key.startsWith({text(prefix)})' for prefix in RESERVED_PREFIXES)})",
    f"keys that begin with {' or '.join(RESERVED_PREFIXES)} are reserved for the operator: use another key",
)

ROOT: Final = [
    rule(
        f"self.metadata.name.size() <= {LONGEST_NAME}",
        f"metadata.name: expected at most {LONGEST_NAME} characters, because the names of Deployments begin with it",
    ),
    rule(
        "!self.metadata.name.contains('.')",
        "metadata.name: expected lower-case letters, digits and -, without dots, because the name is a label of pods",
    ),
]
"""Rules for a whole MarketStream."""

OF_TYPE: Final[dict[type, list[CelRule]]] = {
    Spec: [symbol_rule(exchange) for exchange in EXCHANGES],
    EnvVar: [
        rule(
            f"!(self.name in [{', '.join(text(name) for name in sorted(RESERVED_ENV))}])",
            "the operator decides this variable",
            computed="self.name + ' cannot be set in env: the operator decides it, by exchange, symbols, endpoints, "
            "freshness, retention, logLevel and the Secret of connectionSecretRef'",
            path=".name",
        ),
        rule(
            f"!(has(self.valueFrom) && self.name in [{', '.join(text(name) for name in sorted(TUNING))}])",
            f"expected a value: {TUNED}",
            computed=f"'got a source for ' + self.name + {text(f', expected a value: {TUNED}')}",
            path=".valueFrom",
        ),
        rule(
            "!(has(self.value) && has(self.valueFrom))",
            "expected either value or valueFrom, got both: remove one of them",
        ),
    ],
    EnvVarSource: [
        rule(
            "[has(self.secretKeyRef), has(self.configMapKeyRef), has(self.fieldRef), has(self.resourceFieldRef)]"
            ".exists_one(given, given)",
            "expected exactly one of secretKeyRef, configMapKeyRef, fieldRef and resourceFieldRef",
        )
    ],
    Toleration: [
        rule(
            "has(self.key) || (has(self.operator) && self.operator == 'Exists')",
            "expected a key, or operator: Exists to tolerate every taint: set one of them",
        ),
        rule(
            "!has(self.value) || !has(self.operator) || self.operator != 'Exists'",
            "expected no value with operator: Exists: remove the value, or use operator: Equal",
        ),
        rule(
            "!has(self.tolerationSeconds) || (has(self.effect) && self.effect == 'NoExecute')",
            "expected effect: NoExecute with tolerationSeconds: set the effect, or remove tolerationSeconds",
        ),
    ],
}
"""Rules for objects of a type."""

OF_FIELD: Final[dict[tuple[type, str], list[CelRule]]] = {
    (Spec, "exchange"): [
        rule(
            "self == oldSelf",
            "cannot be changed: create another MarketStream for the other exchange, and delete this one",
        )
    ],
    (Freshness, "maxAge"): duration_rules(MAX_AGE),
    (Retention, "trades"): duration_rules(RETENTION),
    (Endpoints, "webSocket"): [endpoint_rule("wss?", "wss://stream.example:9443")],
    (Endpoints, "rest"): [endpoint_rule("https?", "https://api.example")],
    (Workload, "labels"): [NOT_RESERVED],
    (Workload, "annotations"): [NOT_RESERVED],
}
"""Rules for the value of a field, by the type that has the field and the name of the field in JSON."""
