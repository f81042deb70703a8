"""Records that are given once → the pipeline of `relay run`, until each has met its fate."""

import asyncio
from collections.abc import Callable
from typing import BinaryIO

from relay.app.edges import KafkaEdges
from relay.app.run import Running, run_stream
from relay.road.consuming.given import GivenRecords
from relay.settings import Settings
from relay.telemetry.facts import Emit

_LOOK_EVERY_S = 0.05


async def carried(
    settings: Settings,
    source: GivenRecords,
    edges: Callable[[Settings, Emit], KafkaEdges],
    log_stream: BinaryIO,
) -> dict[str, int]:
    """How many records met which fate, when all have one or a signal ended it."""
    running: asyncio.Future[Running] = asyncio.get_running_loop().create_future()
    # The relay that runs beside us has the admin port.
    own_port = settings.admin.model_copy(update={"port": 0})
    settings = settings.model_copy(update={"admin": own_port})
    async with asyncio.TaskGroup() as tasks:
        stream = tasks.create_task(
            run_stream(settings, log_stream=log_stream, started=running.set_result, edges=edges)
        )
        stage = await running
        ledger = stage.engine.custody.ledger
        while not stream.done():
            if source.exhausted and ledger.open == 0:
                stage.stop("everything that was given has met its fate")
                break
            await asyncio.sleep(_LOOK_EVERY_S)
    return {
        "delivered": ledger.delivered,
        "dead_lettered": ledger.dead_lettered.total(),
        "skipped": ledger.skipped.total(),
        "returned": ledger.returned,
    }
