"""How a field of the resource is described: what msgspec checks, and what only the API server knows."""

from collections.abc import Sequence
from typing import Any

import msgspec


class Fields(msgspec.Struct, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True, omit_defaults=True):
    """Base of the objects in a spec. `msgspec.to_builtins` makes JSON of them again, without what was not given.

    A field that is not known is refused, not dropped: it would have been meant to do something.
    """


def about(
    description: str,
    *,
    listed: str = "",
    keys: Sequence[str] = (),
    default: Any = None,
    enum: Sequence[str] = (),
    extra: dict[str, Any] | None = None,
    **checks: Any,
) -> msgspec.Meta:
    """A field's description and checks.

    `listed`: how the API server merges the list: as a `set`, or `atomic`; `keys` are the fields that tell the entries
    of a list apart. `default`: what the API server fills in where it is not Python's default. `enum`: the words that
    are accepted, where Python learns them elsewhere. `checks` are those of msgspec.Meta.
    """
    schema: dict[str, Any] = dict(extra or {})
    if keys:
        schema |= {"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": list(keys)}
    elif listed:
        schema |= {"x-kubernetes-list-type": listed}
    if default is not None:
        schema |= {"default": default}
    if enum:
        schema |= {"enum": list(enum)}
    return msgspec.Meta(description=description, extra_json_schema=schema or None, **checks)
