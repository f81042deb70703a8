"""The envelope of a dead letter as a JSON Schema: one object from header name to text.

For whoever reads the dead-letter topic with tools of their own. Made here from the table below, and
held to what `dead_letter.sealed` writes by a test.
"""

from typing import Any

from relay.model import DeadLetterClass
from relay.road.settling.dead_letter import PREFIX, TEXT_BYTES_MAX, VERSION

_NUMBER = r"^(0|[1-9][0-9]*)$"
_TIME = r"^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}\.[0-9]{3}Z$"

# name → what it says, and what it may be.
FIELDS: dict[str, tuple[str, dict[str, Any]]] = {
    "version": ("Version of the envelope; the first of its headers.", {"const": VERSION}),
    "topic": ("Topic that the record stood in.", {"minLength": 1}),
    "partition": ("Its partition.", {"pattern": _NUMBER}),
    "offset": ("Its offset.", {"pattern": _NUMBER}),
    "timestamp": ("Its timestamp in epoch milliseconds.", {"pattern": r"^(-1|0|[1-9][0-9]*)$"}),
    "class": (
        "The stage that found out that it cannot be delivered.",
        {"enum": [known.value for known in DeadLetterClass]},
    ),
    "code": ("Why, from a closed set (docs/EVENT_CODES.md, or http_…).", {"minLength": 1}),
    "reason": ("Why, in words; names the field, never its value.", {}),
    "destination": (
        "Which of `destinations` it was bound for; absent for that of `tracking`.",
        {"minLength": 1},
    ),
    "status": ("HTTP status of the last answer; absent without one.", {"pattern": _NUMBER}),
    "excerpt": ("Beginning of the last answer, redacted; absent without one.", {}),
    "attempts": ("How often it was sent.", {"pattern": _NUMBER}),
    "first-attempt": ("When it was sent first; absent if never.", {"pattern": _TIME}),
    "last-attempt": ("When it was sent last; absent if never.", {"pattern": _TIME}),
    "mapping": ("Version of the mapping that was in use.", {"minLength": 1}),
    "cut": (
        "What was too large; absent when all is there. `record`: with headers and a long key.",
        {"enum": ["value", "record"]},
    ),
    "value-bytes": ("Size of the whole value; absent when it is there.", {"pattern": _NUMBER}),
    "value-sha256": ("Its SHA-256; absent when it is there.", {"pattern": "^[0-9a-f]{64}$"}),
    "events": (
        "Which events of a record of several died, from 0; any length. Absent: all of it.",
        {"pattern": r"^[0-9]+(-[0-9]+)?(,[0-9]+(-[0-9]+)?)*$"},
    ),
    "events-total": ("How many events the record holds.", {"pattern": r"^[1-9][0-9]*$"}),
    "reasons": (
        "Where several events died: the first of them, each with its code.",
        {"pattern": r"^[0-9]+=[^,=]+(,[0-9]+=[^,=]+)*$"},
    ),
}
OPTIONAL = frozenset(
    {
        "destination",
        "status",
        "excerpt",
        "first-attempt",
        "last-attempt",
        "cut",
        "value-bytes",
        "value-sha256",
        "events",
        "events-total",
        "reasons",
    }
)


def dead_letter_schema() -> dict[str, Any]:
    """The schema of one envelope."""
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": "urn:mics-relay:schema:dead-letter.v1",
        "title": "Envelope of a dead letter, version 1",
        "description": "The headers that stand behind the original's, one envelope for each death; "
        f"each value is UTF-8 text of at most {TEXT_BYTES_MAX} bytes. Key, value and the other "
        "headers of the record are the original's, unless `relay-dlq-cut` says otherwise.",
        "type": "object",
        "properties": {
            PREFIX + name: {"description": text, "type": "string", **rule}
            for name, (text, rule) in FIELDS.items()
        },
        "required": [PREFIX + name for name in FIELDS if name not in OPTIONAL],
        "additionalProperties": False,
    }
