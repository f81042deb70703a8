"""A selection of the live page → the same search and the same replay as `relay dlq replay`."""

from relay.clock import SystemClock
from relay.dead_letters.codes import known_codes
from relay.dead_letters.facts import DeadLettersReplayed
from relay.dead_letters.search import send_again
from relay.dead_letters.selection import Selection, moment_ms, span
from relay.settings import Settings
from relay.telemetry.facts import Emit
from relay.telemetry.replay_route import Replay, ReplayRequest, ReplayResult

LETTERS_MAX = 10_000
"""Of one request, so that its answer comes while somebody waits for it."""


def replay_by_settings(settings: Settings, emit: Emit) -> Replay:
    """See `Replay`: into the topics that the letters came from, by these settings."""

    async def send(wanted: ReplayRequest) -> ReplayResult:
        found, by_topic = await send_again(
            settings,
            (),
            _selection(wanted),
            LETTERS_MAX,
            to=None,
            per_second=None,
            dry_run=wanted.dry_run,
        )
        if not wanted.dry_run:
            emit(DeadLettersReplayed(count=sum(by_topic.values()), topics=", ".join(by_topic)))
        return ReplayResult(found.counts.total(), found.cut, found.more, by_topic)

    return send


def _selection(wanted: ReplayRequest) -> Selection:
    since = wanted.since
    return Selection(
        codes=known_codes(wanted.codes),
        since_ms=None if since is None else moment_ms(since, SystemClock().now_ms()),
        spans=tuple(span(text) for text in wanted.positions),
    )
