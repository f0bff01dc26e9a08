"""Descriptions of the fields of the resource: for msgspec, which checks them, and for the API server."""

from collections.abc import Sequence
from typing import Any

import msgspec


class Fields(msgspec.Struct, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True, omit_defaults=True):
    """Base class of the objects in a spec. `msgspec.to_builtins` converts them back to JSON, without absent fields.

    An unknown field is rejected, not dropped: its author expected an effect.
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
    """Return the description and the checks of a field.

    `listed` says how the API server merges a list: as a `set`, or `atomic`. `keys` are the fields that identify an
    entry of a list. `default` is the value that the API server fills in, where it differs from Python's default. `enum`
    lists the accepted words, where Python checks them elsewhere. `extra` is more of the schema. `checks` are those of
    `msgspec.Meta`.
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
