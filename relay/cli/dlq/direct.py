"""Chosen dead letters → the API, by a stream of our own; what `relay dlq replay --direct` does."""

import asyncio
import json
import sys
from collections.abc import Sequence
from typing import BinaryIO, NoReturn

import typer
import uvloop

from relay.app.edges import KafkaEdges, kafka_edges
from relay.cli.given import carried
from relay.dead_letters.direct import ReplaySink, ReplaySource
from relay.dead_letters.reading import dead_letter_topics
from relay.dead_letters.search import Found, chosen_letters
from relay.dead_letters.selection import Selection
from relay.errors import ExitStatus
from relay.model import Partition
from relay.process_exit import leave
from relay.settings import Settings
from relay.telemetry.facts import Emit


def replay_directly(
    settings: Settings,
    topics: Sequence[str],
    selection: Selection,
    limit: int | None,
    *,
    per_second: float | None,
    as_json: bool,
) -> NoReturn:
    """Run until every letter that is meant has a fate; say which, and end the process."""
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        found, fates = runner.run(
            _send(
                settings,
                topics,
                selection,
                limit,
                per_second=per_second,
                log_stream=sys.stderr.buffer,
            )
        )
        if as_json:
            typer.echo(
                json.dumps({"replayed": found.counts.total(), "truncated": found.cut, **fates})
            )
        else:
            typer.echo(found.table())
            typer.echo(", ".join(f"{count} {fate}" for fate, count in fates.items()))
        again = fates["dead_lettered"] + fates["returned"]
        # A thread that still waits for the network must not hold up the end.
        leave(ExitStatus.FINDINGS if again else ExitStatus.OK)


async def _send(
    settings: Settings,
    topics: Sequence[str],
    selection: Selection,
    limit: int | None,
    *,
    per_second: float | None,
    log_stream: BinaryIO,
) -> tuple[Found, dict[str, int]]:
    """Send the letters that are meant through a pipeline of our own; how many met which fate."""
    found = Found()
    policy = settings.dead_letter.policy(settings.kafka)
    where = await dead_letter_topics(
        topics, settings.kafka.consumer(settings.dead_letter.topic), policy
    )
    partitions = [Partition(topic, n) for topic, count in where.items() for n in range(count)]
    letters = chosen_letters(settings, list(where), selection, limit, found, whole=True)
    source = ReplaySource(partitions, letters, per_second)

    def edges(settings: Settings, emit: Emit) -> KafkaEdges:
        sink = kafka_edges(settings, emit).sink
        return KafkaEdges(source, ReplaySink(sink, source.names))

    return found, await carried(settings, source, edges, log_stream)
