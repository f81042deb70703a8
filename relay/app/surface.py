"""What is shown of a process: the admin port, the first lines of the log, traces."""

import socket
from collections.abc import Iterator
from contextlib import AsyncExitStack
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from relay import __version__
from relay.clock import SystemClock
from relay.process_facts import RelayStarted
from relay.settings import Settings
from relay.settings.shown import shown
from relay.telemetry.access import Access
from relay.telemetry.admin import View
from relay.telemetry.facts import Emit
from relay.telemetry.recent import Recent
from relay.telemetry.replay_route import Replay
from relay.telemetry.spans import open_tracer
from relay.telemetry.tap_route import OpenTap

if TYPE_CHECKING:  # an extra
    from opentelemetry.trace import Tracer


def view_of(settings: Settings, open_tap: OpenTap, send_again: Replay | None) -> View:
    """What the admin port may show and do beside the state of the roads."""
    admin, kafka, clock = settings.admin, settings.kafka, SystemClock()
    token = None if admin.token is None else admin.token.get_secret_value()
    about = {
        "version": __version__,
        "host": socket.gethostname(),
        "group_id": kafka.group_id,
        "topics": [kafka.topic_pattern] if kafka.topic_pattern else list(kafka.topics),
        "started": datetime.fromtimestamp(clock.now_ms() / 1000, UTC).isoformat(timespec="seconds"),
    }
    recent = Recent(clock.now_ms)
    access = Access(admin.host, token)
    return View(access, recent, about, dict(shown(settings)), open_tap, send_again)


async def tracer_of(settings: Settings, stack: AsyncExitStack) -> "Tracer | None":
    """What sends spans, where the settings ask for it, until the stack is left."""
    tracing = settings.tracing
    if not tracing.enabled:
        return None
    resource = {
        "service.name": "relay",
        "service.version": __version__,
        "service.instance.id": socket.gethostname(),
    }
    return await stack.enter_async_context(open_tracer(tracing.endpoint, resource))


def tell_start(settings: Settings, address: str, emit: Emit, *, membership: bool) -> None:
    """Say in the log what runs, and from where to where."""
    kafka, segments = settings.kafka, settings.segments
    emit(
        RelayStarted(
            version=__version__,
            group_id=kafka.group_id,
            topics=kafka.topic_pattern or ",".join(kafka.topics),
            destination=", ".join(_addresses(settings)),
            admin=address,
        )
    )
    if membership:
        from relay.membership.facts import MembershipStarted  # noqa: PLC0415 - only where it is on

        group_id = segments.membership_group(kafka.group_id)
        emit(MembershipStarted(group_id=group_id, imports=segments.importer_policy(group_id).name))


def _addresses(settings: Settings) -> Iterator[str]:
    sending = settings.sending
    for name, one in sending.items():
        yield f"{name} {one.base_url}" if len(sending) > 1 else one.base_url
