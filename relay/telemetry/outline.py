"""A JSON document → its shape: names and nesting stay, values are masked. Pure."""

from typing import Any

import orjson

MASK = "***"
# Of these the value is shown: what kind of event it is, and when, says nothing of anybody.
_TELLING_NOTHING = frozenset({"type", "event", "ts", "$event_name", "$ts", "$type"})


def outline(raw: bytes | None) -> str | None:
    """The document with what says nothing of a person; else only that something is there.

    Names, and how things nest, are what one looks for after a refusal.
    """
    if raw is None:
        return None
    try:
        return orjson.dumps(masked_values(orjson.loads(raw))).decode()
    except (ValueError, RecursionError):
        return MASK


def masked_values(value: Any) -> Any:
    """The same of a document that is decoded."""
    if isinstance(value, dict):
        return {
            name: inner if name in _TELLING_NOTHING and not _nested(inner) else masked_values(inner)
            for name, inner in value.items()
        }
    if isinstance(value, list):
        return [masked_values(inner) for inner in value]
    return value if value is None or isinstance(value, bool) else MASK


def _nested(value: Any) -> bool:
    return isinstance(value, dict | list)
