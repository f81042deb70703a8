"""Documents → compact JSON, with every digit of every integer."""

import json
from typing import Any

import orjson


def to_json(document: dict[str, Any]) -> bytes:
    """Compact JSON. Integers beyond 64 bits, which orjson cannot write, keep every digit."""
    try:
        # A copy, which has the size of its bytes: what orjson returns keeps the 4 kB that it was
        # written into, and ten thousand waiting events would hold 80 MB of nothing.
        return b"%b" % orjson.dumps(document)
    except TypeError:
        return json.dumps(
            document, ensure_ascii=False, allow_nan=False, separators=(",", ":")
        ).encode()
