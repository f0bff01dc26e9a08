"""What the API server checks beyond the schema: expressions (CEL), each with a message that says what to do.

They are kept cheap: the API server refuses a CRD whose expressions could take long for the largest object that the
schema allows. Duplicates of topics, for one, are found by resource.py alone.
"""

from typing import Any, Final

from marketstream_operator.resource.durations import EXPECTED, PATTERN, UNITS, Bounds, duration_s
from marketstream_operator.resource.pods import EnvVar, EnvVarSource, Toleration
from marketstream_operator.resource.spec import (
    EXCHANGES,
    MAX_AGE,
    RETENTION,
    Endpoints,
    Freshness,
    Retention,
    Spec,
    Workload,
)
from marketstream_operator.resource.validation import RESERVED_ENV, RESERVED_PREFIXES

CelRule = dict[str, Any]
"""An entry of `x-kubernetes-validations`: the expression, its message and, where given, the field that it is about."""

LONGEST_NAME: Final = 40
"""Characters of a MarketStream's name: the names of its Deployments add the pair and `-processor`, and pods more."""


def rule(expression: str, message: str, *, computed: str = "", path: str = "") -> CelRule:
    """A rule of the API server. `computed` is an expression for a message that names what was given; `path` the field
    that is meant, below the one that has the rule."""
    found: CelRule = {"rule": expression, "message": message}
    if computed:
        found["messageExpression"] = computed
    if path:
        found["fieldPath"] = path
    return found


def text(value: str) -> str:
    """A string as an expression writes it."""
    return "'" + value.replace("\\", "\\\\").replace("'", "\\'") + "'"


def seconds() -> str:
    """The seconds of a duration: its own `duration()` knows no days. A part that is not there is 0."""
    parts = [f"int('0' + self.find('[0-9]+{unit}').replace('{unit}', ''))" for unit in UNITS]
    return " + ".join(f"{part} * {s}" if s > 1 else part for part, s in zip(parts, UNITS.values(), strict=True))


def duration_rules(bounds: Bounds) -> list[CelRule]:
    """A duration is one, and within its bounds."""
    least, most = duration_s(bounds.least), duration_s(bounds.most)
    return [
        rule(f"self.matches({text(PATTERN)})", f"expected {EXPECTED}"),
        rule(
            f"!self.matches({text(PATTERN)}) || [{seconds()}].exists(s, s >= {least} && s <= {most})",
            f"expected from {bounds.least} to {bounds.most}",
        ),
    ]


def symbol_rule(exchange: str) -> CelRule:
    """The symbols are spelled as the exchange spells them."""
    spelling = EXCHANGES[exchange]
    wrong = f"(s.size() > {spelling.longest} || !s.matches({text(spelling.pattern)}))"
    expected = f"expected a symbol of {exchange}: {spelling.expected}"
    return rule(
        f"self.exchange != {text(exchange)} || !self.symbols.exists(s, {wrong})",
        expected,
        computed=f"'got ' + self.symbols.filter(s, {wrong})[0] + {text(', ' + expected)}",
        path=".symbols",
    )


def endpoint_rule(schemes: str, example: str) -> CelRule:
    """An address is a scheme, a host and a port."""
    return rule(
        f"self == '' || self.matches('^{schemes}://[^/?#[:space:]]+$')",
        f"expected scheme, host and port without a path, as {example}",
    )


NOT_RESERVED: Final = rule(
    f"self.all(key, {' && '.join(f'!key.startsWith({text(prefix)})' for prefix in RESERVED_PREFIXES)})",
    f"keys that begin with {' or '.join(RESERVED_PREFIXES)} are the operator's: use another",
)

ROOT: Final = [
    rule(
        f"self.metadata.name.size() <= {LONGEST_NAME}",
        f"metadata.name: expected at most {LONGEST_NAME} characters, as the names of its Deployments begin with it",
    ),
    rule(
        "!self.metadata.name.contains('.')",
        "metadata.name: expected lower case letters, digits and -, without a dot, as it is a label of its pods",
    ),
]
"""Rules of a whole MarketStream."""

OF_TYPE: Final[dict[type, list[CelRule]]] = {
    Spec: [symbol_rule(exchange) for exchange in EXCHANGES],
    EnvVar: [
        rule(
            f"!(self.name in [{', '.join(text(name) for name in sorted(RESERVED_ENV))}])",
            "this variable is set by the operator",
            computed="self.name + ' is not for env: the operator sets it, from exchange, symbols, endpoints, "
            "freshness, retention, logLevel and the Secret of connectionSecretRef'",
            path=".name",
        ),
        rule("!(has(self.value) && has(self.valueFrom))", "expected value or valueFrom, not both: remove one of them"),
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
            "without a key, which tolerates every taint, expected operator: Exists",
        ),
        rule(
            "!has(self.value) || !has(self.operator) || self.operator != 'Exists'",
            "expected no value with operator Exists: remove it, or use Equal",
        ),
        rule(
            "!has(self.tolerationSeconds) || (has(self.effect) && self.effect == 'NoExecute')",
            "tolerationSeconds needs effect: NoExecute",
        ),
    ],
}
"""Rules of an object of the type."""

OF_FIELD: Final[dict[tuple[type, str], list[CelRule]]] = {
    (Spec, "exchange"): [
        rule("self == oldSelf", "cannot be changed: make another MarketStream for the other exchange, remove this one")
    ],
    (Freshness, "maxAge"): duration_rules(MAX_AGE),
    (Retention, "trades"): duration_rules(RETENTION),
    (Endpoints, "webSocket"): [endpoint_rule("wss?", "wss://stream.example:9443")],
    (Endpoints, "rest"): [endpoint_rule("https?", "https://api.example")],
    (Workload, "labels"): [NOT_RESERVED],
    (Workload, "annotations"): [NOT_RESERVED],
}
"""Rules of a field's value, by the type that has the field and its name in JSON."""
