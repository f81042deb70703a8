"""Settings of the mapping that work, and are seldom what somebody wants."""

from collections.abc import Iterator

from relay.checks.finding import Finding, warning
from relay.stream.mapping.policy import ActivityPolicy


def check_mapping(mapping: ActivityPolicy) -> Iterator[Finding]:
    """Warnings only: each of these has its uses."""
    if mapping.default_app_id is not None and mapping.session_status == "NO_SESSION":
        yield warning(
            "mapping",
            "events of the app channel are sent with NO_SESSION, so the platform makes no sessions",
            "its apps send IN_SESSION or CLOSED_SESSION: set mapping.session_status",
        )
