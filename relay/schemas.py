"""The JSON Schemas of every format that we read or write, generated from their models.

`relay schema` prints them, at run time: an installed relay needs no file for it. `make docs`
writes them to `schemas/`.
"""

import json
from collections.abc import Callable
from typing import Any

from relay.road.settling.dead_letter_schema import dead_letter_schema
from relay.segments.model import segment_command_schema
from relay.stream.decoding.schema import app_event_schema
from relay.stream.mapping.user_activity import user_activity_schema
from relay.stream.mapping.user_documents import (
    user_choice_schema,
    user_event_schema,
    user_identifiers_schema,
    user_profile_schema,
)

SCHEMAS: dict[str, Callable[[], dict[str, Any]]] = {
    "app-event.v1": app_event_schema,
    "user-activity.v1": user_activity_schema,
    "user-event.v1": user_event_schema,
    "user-identifiers.v1": user_identifiers_schema,
    "user-profile.v1": user_profile_schema,
    "user-choice.v1": user_choice_schema,
    "segment-command.v1": segment_command_schema,
    "dead-letter.v1": dead_letter_schema,
}


def rendered(schema: dict[str, Any]) -> str:
    """The text of a schema's file."""
    return json.dumps(schema, indent=2, ensure_ascii=False) + "\n"
