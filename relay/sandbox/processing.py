"""What the platform does to an activity before it can be read back: events out, events in. Pure.

Documented: `$page_view` is removed at the end of processing; `$app_install` and `$app_update` are
computed by the platform and not to be sent, the first from a user's first `$app_open`. Inferred:
those two are dropped when they are sent all the same, and the install stands right before the open
with its time. `$app_update` is not computed: which properties carry the versions is not known.
"""

from collections.abc import Mapping
from typing import Any

OPEN = "$app_open"
INSTALL = "$app_install"
REMOVED = frozenset({"$page_view", INSTALL, "$app_update"})


def processed(activity: Mapping[str, Any], *, first_open: bool) -> dict[str, Any]:
    """The activity as a timeline shows it. `first_open`: it holds the user's first `$app_open`."""
    events: list[Any] = []
    for event in activity["$events"]:
        if event["$event_name"] in REMOVED:
            continue
        if first_open and event["$event_name"] == OPEN:
            events.append({"$ts": event.get("$ts"), "$event_name": INSTALL, "$properties": {}})
            first_open = False
        events.append(event)
    return {**activity, "$events": events}
