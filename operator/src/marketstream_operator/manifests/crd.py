"""The CustomResourceDefinition, generated from the types of the resource."""

from typing import Any, Final

from msgspec import NODEFAULT, inspect, to_builtins

from marketstream_operator.kinds import MARKET_STREAM
from marketstream_operator.manifests import rules
from marketstream_operator.resource.spec import Spec
from marketstream_operator.resource.status import FIRST_CONDITIONS, Status

Schema = dict[str, Any]

SHORT_NAME: Final = "mstream"

DESCRIPTION: Final = (
    "A MarketStream names symbols of an exchange to stream. The operator runs a pair of a producer and a processor for "
    "each symbol, or for several symbols together. Their trades flow through Kafka into candles of ten seconds, each "
    "of which is provably complete or visibly marked as incomplete."
)


def crd() -> dict[str, Any]:
    """Return the definition, ready to be applied."""
    kind = MARKET_STREAM
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{kind.plural}.{kind.group}"},
        "spec": {
            "group": kind.group,
            "names": {
                "kind": kind.name,
                "listKind": f"{kind.name}List",
                "plural": kind.plural,
                "singular": kind.name.lower(),
                "shortNames": [SHORT_NAME],
                "categories": ["marketstream"],
            },
            "scope": "Namespaced",
            "versions": [
                {
                    "name": kind.version,
                    "served": True,
                    "storage": True,
                    "subresources": {"status": {}},
                    "additionalPrinterColumns": COLUMNS,
                    "schema": {"openAPIV3Schema": _root()},
                }
            ],
        },
    }


def _column(name: str, kind: str, path: str, description: str, *, wide: bool = False) -> dict[str, Any]:
    column = {"name": name, "type": kind, "jsonPath": path, "description": description}
    return column | ({"priority": 1} if wide else {})  # the API server drops a priority of 0


def _condition(type_: str) -> str:
    return f'.status.conditions[?(@.type=="{type_}")].status'


COLUMNS: Final = [
    _column("Exchange", "string", ".spec.exchange", "The exchange whose trades are streamed."),
    _column("Symbols", "integer", ".status.symbolCount", "Number of symbols that are streamed."),
    _column("Pairs", "string", ".status.pairs.summary", "Ready pairs, of those that the spec needs."),
    _column("Ready", "string", _condition("Ready"), "True if all pairs are running."),
    _column("Fresh", "string", _condition("Fresh"), "True if data arrives from the exchange."),
    _column("Age", "date", ".metadata.creationTimestamp", "Time since the MarketStream was created."),
    _column("Last trade", "date", ".status.lastTradeTime", "Time since the last trade.", wide=True),
    _column("Trades/s", "number", ".status.tradesPerSecond", "Trades per second of all symbols.", wide=True),
    _column("Paused", "string", _condition("Paused"), "True if the stream is paused.", wide=True),
    _column(
        "Reason",
        "string",
        ".status.reason",
        "The most important reason, such as why the stream is not ready.",
        wide=True,
    ),
]


def _root() -> Schema:
    return {
        "description": DESCRIPTION,
        "type": "object",
        "required": ["spec"],
        "properties": {
            "apiVersion": {"description": "Version of this schema: marketstream.io/v1alpha1.", "type": "string"},
            "kind": {"description": "MarketStream.", "type": "string"},
            "metadata": {"type": "object"},
            "spec": {"description": _first_words(Spec), **schema(inspect.type_info(Spec))},
            "status": {
                "description": _first_words(Status),
                "default": {"conditions": [to_builtins(each) for each in FIRST_CONDITIONS]},
                **schema(inspect.type_info(Status)),
            },
        },
        "x-kubernetes-validations": rules.ROOT,
    }


def _first_words(struct: type) -> str:
    return " ".join((struct.__doc__ or "").split())


def schema(kind: inspect.Type) -> Schema:
    """Return the structural schema of a type, without references, as the API server requires.

    Raises TypeError for a type that has no such schema.
    """
    match kind:
        case inspect.Metadata():
            return _with_extra(kind)
        case inspect.StructType():
            return _object(kind)
        case inspect.UnionType():
            return _union(kind)
        case inspect.DictType():
            return _sizes("Properties", kind) | {"type": "object", "additionalProperties": schema(kind.value_type)}
        case inspect.VarTupleType():
            return {"type": "array", "items": schema(kind.item_type)} | _sizes("Items", kind)
        case inspect.StrType():
            pattern = {"pattern": kind.pattern} if kind.pattern is not None else {}
            return {"type": "string"} | _sizes("Length", kind) | pattern
        case inspect.LiteralType():
            return {"type": "string", "enum": list(kind.values)}
        case inspect.BoolType():
            return {"type": "boolean"}
        case inspect.IntType():
            return {"type": "integer"} | _bounds(kind)
        case inspect.FloatType():
            return {"type": "number"} | _bounds(kind)
        case _:
            raise TypeError(f"cannot express {kind} in the schema: use another type")


def _with_extra(kind: inspect.Metadata) -> Schema:
    extra = dict(kind.extra_json_schema or {})
    first = {"description": extra.pop("description")} if "description" in extra else {}
    return first | schema(kind.type) | extra


def _object(kind: inspect.StructType) -> Schema:
    found: Schema = {"type": "object"}
    required = [field.encode_name for field in kind.fields if field.required]
    if required:
        found["required"] = required
    found["properties"] = {field.encode_name: _property(kind.cls, field) for field in kind.fields}
    if kind.cls in rules.OF_TYPE:
        found["x-kubernetes-validations"] = rules.OF_TYPE[kind.cls]
    return found


def _property(owner: type, field: inspect.Field) -> Schema:
    found = schema(field.type)
    default = field.default
    if default is not NODEFAULT and isinstance(default, bool | int | str) and default != "":
        found["default"] = default
    own = rules.OF_FIELD.get((owner, field.encode_name))
    if own:
        found["x-kubernetes-validations"] = own
    return found


def _union(kind: inspect.UnionType) -> Schema:
    members = [member for member in kind.types if not isinstance(member, inspect.NoneType)]
    if len(members) == 1:
        return schema(members[0])
    texts = [member for member in members if isinstance(member, inspect.StrType)]
    if len(members) != 2 or len(texts) != 1 or not any(isinstance(member, inspect.IntType) for member in members):
        raise TypeError(f"cannot express {kind} in the schema: use another type")
    written = schema(texts[0])
    del written["type"]
    return {"anyOf": [{"type": "integer"}, {"type": "string"}], "x-kubernetes-int-or-string": True, **written}


def _sizes(of: str, kind: Any) -> Schema:
    return {
        f"{name}{of}": value
        for name, value in (("min", kind.min_length), ("max", kind.max_length))
        if value is not None
    }


def _bounds(kind: inspect.IntType | inspect.FloatType) -> Schema:
    return {name: value for name, value in (("minimum", kind.ge), ("maximum", kind.le)) if value is not None}
