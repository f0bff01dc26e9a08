"""Tables of docs/reference that follow from code: fields, permissions, settings."""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import fields
from typing import Any, Final, get_args

from marketstream_operator.manifests.crd import crd
from marketstream_operator.manifests.roles import PERMISSIONS, Scope
from marketstream_operator.settings import OperatorSettings

CORE: Final = ("resources", "env", "tolerations", "affinity", "topologySpreadConstraints")
"""Fields of Kubernetes' own types. The table does not list their parts; `kubectl explain` does."""

WHERE: Final[dict[Scope, str]] = {
    "operatorNamespace": "its own namespace",
    "watched": "every namespace that it serves",
    "strimzi": "the namespace of Kafka, with kafka.mode strimzi",
}


def filled(text: str, tables: Sequence[str]) -> str:
    """Return the document with these tables replaced, each between `<!-- name -->` and `<!-- /name -->`.

    Raises ValueError when the document has no place for one of the tables.
    """
    for name in tables:
        table = TABLES[name]
        place = re.compile(f"(<!-- {name} -->\n).*?(<!-- /{name} -->)", re.DOTALL)
        if not place.search(text):
            raise ValueError(f"expected <!-- {name} --> and <!-- /{name} --> in the document")
        text = place.sub(lambda found, table=table: found[1] + "\n".join(table()) + "\n" + found[2], text)  # type: ignore[misc]
    return text


def _spec() -> Iterator[str]:
    schema = crd()["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]
    yield from ("| field | default | meaning |", "|---|---|---|")
    yield from _fields(schema["spec"], "spec")


def _status() -> Iterator[str]:
    schema = crd()["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]
    yield from ("| field | meaning |", "|---|---|")
    for row in _fields(schema["status"], "status"):
        path, _, meaning = row.removeprefix("| ").partition(" |  | ")
        yield f"| {path} | {meaning}"


def _fields(schema: Mapping[str, Any], path: str) -> Iterator[str]:
    for name, each in schema.get("properties", {}).items():
        here = f"{path}.{name}"
        if here == "spec.processor":  # has the same fields
            continue
        meaning = each.get("description", "")
        if here == "spec.producer":
            meaning += f" {schema['properties']['processor']['description']}"
        yield f"| `{_label(here)}` | {_default(each.get('default'))} | {_cell(meaning)} |"
        if name not in CORE:
            is_list = each.get("type") == "array"
            yield from _fields(each["items"] if is_list else each, f"{here}[]" if is_list else here)


def _label(path: str) -> str:
    if path == "spec.producer":
        return "spec.producer, spec.processor"
    return path.replace("spec.producer.", "….")


def _default(value: Any) -> str:
    if value in (None, {}, "", ()):
        return ""
    return f"`{str(value).lower() if isinstance(value, bool) else value}`"


def _settings() -> Iterator[str]:
    yield from ("| variable | default | meaning |", "|---|---|---|")
    for each in fields(OperatorSettings):
        choices = each.metadata.get("choices")
        one_of = f" ({', '.join(choices)})" if choices else ""
        yield f"| `{each.name.upper()}` | {_default(each.default)} | {_cell(each.metadata['help'])}{one_of} |"


def _permissions() -> Iterator[str]:
    yield from ("| where | what | verbs | why |", "|---|---|---|---|")
    for scope in get_args(Scope):
        for each in PERMISSIONS:
            if each.scope == scope:
                resource = f"{each.kind.plural}/{each.subresource}" if each.subresource else each.kind.plural
                yield f"| {WHERE[scope]} | {resource} | {', '.join(each.verbs)} | {each.why} |"


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")


TABLES: Final[dict[str, Callable[[], Iterator[str]]]] = {
    "spec": _spec,
    "status": _status,
    "settings": _settings,
    "permissions": _permissions,
}
