"""`relay run --from`: the stream between two times, in a consumer group of its own."""

import asyncio

from relay.app.edges import KafkaEdges, kafka_edges
from relay.app.run import Running, run_stream
from relay.cli.options import GivenSpan
from relay.clock import SystemClock
from relay.dead_letters.selection import moment_ms
from relay.errors import ExitStatus, InputError
from relay.road.consuming.by_time import Bounded, Span, begun
from relay.settings import Settings
from relay.settings.secrets import secret_values
from relay.telemetry.facts import Emit

_LOOK_EVERY_S = 0.1  # an end that comes a tenth of a second late is no loss


def span_of(given: GivenSpan) -> Span:
    """The times of the command line.

    Raises:
        InputError: One is not a time, or they are in the wrong order, or the end has not come yet.
    """
    now_ms = SystemClock().now_ms()
    from_ms = moment_ms(given.since, now_ms)
    to_ms = None if given.until is None else moment_ms(given.until, now_ms)
    if to_ms is not None and to_ms > now_ms:
        raise InputError(
            f"--to {given.until}: has not come yet", hint="leave --to out to go on for ever"
        )
    if from_ms >= (now_ms if to_ms is None else to_ms):
        raise InputError("--from is not before the end", hint="--from 2h --to 1h, or two times")
    return Span(from_ms, to_ms)


async def backfill(settings: Settings, span: Span, group_id: str) -> int:
    """Move what was produced between the two times; the exit status."""
    own = {"group_id": group_id, "group_instance_id": None, "new_partition_wait_s": 0.0}
    settings = settings.model_copy(update={"kafka": settings.kafka.model_copy(update=own)})
    consumer = settings.kafka.consumer(settings.dead_letter.topic)
    ends = await begun(consumer, span, settings.log.opened(secret_values(settings)).write)
    if span.to_ms is None:
        await run_stream(settings, edges=kafka_edges)
        return ExitStatus.OK
    bounded: list[Bounded] = []

    def edges(settings: Settings, emit: Emit) -> KafkaEdges:
        whole = kafka_edges(settings, emit)
        bounded.append(Bounded(whole.source, ends))
        return KafkaEdges(bounded[0], whole.sink)

    running: asyncio.Future[Running] = asyncio.get_running_loop().create_future()
    complete = False
    async with asyncio.TaskGroup() as tasks:
        stream = tasks.create_task(run_stream(settings, started=running.set_result, edges=edges))
        stage = await running
        ledger = stage.engine.custody.ledger
        while not stream.done():
            if bounded[0].is_read() and ledger.open == 0:
                complete = True
                stage.stop("everything before --to has met its fate")
                break
            await asyncio.sleep(_LOOK_EVERY_S)
    return ExitStatus.OK if complete else ExitStatus.INTERRUPTED
