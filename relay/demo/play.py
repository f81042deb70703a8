"""Broker, sandbox, producer and the pipeline of `relay run`, all in one process, until all is done.

Nothing is imitated between the producer and the API: records go through Kafka's protocol, requests
through HTTP. Only the broker and the API at the two ends are stand-ins.
"""

import asyncio
import json
import os
import random
import zlib
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from aiokafka import AIOKafkaProducer

from relay.app.run import Running, run_stream
from relay.clock import SystemClock
from relay.demo.events import Sample, samples
from relay.demo.tally import Tally, take
from relay.sandbox.app import create_app
from relay.sandbox.embedded_broker import embedded_broker
from relay.sandbox.faults import FaultKind, FaultPlan, FaultRule
from relay.sandbox.options import SandboxOptions
from relay.sandbox.server import serve
from relay.sandbox.state import State
from relay.settings import Settings, load

TOPIC = "app-events"
DEAD_LETTER_TOPIC = "app-events.dlq"
TOKEN = "demo-token"  # noqa: S105 - the sandbox of this process takes it, nothing else does
DATAMART = "1234"
HEADER = "shop"
_DOWN_REQUESTS = 20
USERS = 300
_AHEAD_MAX = 2_000
"""The embedded broker drops the oldest of a partition at 5 MB, so the producer stays close."""
_LOOK_EVERY_S = 0.1
_ACTIVITIES_SHOWN = 6

Watch = Callable[[Tally, list[Mapping[str, Any]]], None]


async def play(  # noqa: PLR0917 - what the command was given
    events: int, rate: float | None, seed: int, log: Path | None, watch: Watch, datamarts: int = 1
) -> tuple[Tally, float]:
    """Produce `events`, `rate` a second (None: at once), and wait until each has met its fate.

    With several `datamarts` a header says which one a person belongs to, and the last is down for
    its first requests. `watch` is shown the counts and the API's latest activities ten times a
    second. Returns the final counts and the seconds from the first event to the last fate.
    """
    loop = asyncio.get_running_loop()
    rng = random.Random(seed)  # noqa: S311 - imaginary people
    app = create_app(SandboxOptions(tokens=frozenset({TOKEN})))
    sandbox: State = app.state.sandbox
    sandbox.set_faults(_faults(seed, datamarts))
    with (
        embedded_broker(TOPIC, DEAD_LETTER_TOPIC) as bootstrap_servers,
        (log or Path(os.devnull)).open("wb") as stream,
    ):
        async with serve(app) as base_url, asyncio.TaskGroup() as tasks:
            running: asyncio.Future[Running] = loop.create_future()
            settings = _settings(bootstrap_servers, base_url, datamarts)
            tasks.create_task(run_stream(settings, log_stream=stream, started=running.set_result))
            stage = await running
            started = loop.time()
            producer = _Producer(bootstrap_servers, rate, datamarts)
            batch = samples(events, USERS, SystemClock().now_ms(), rng)
            producing = tasks.create_task(producer.produce(batch, stage))
            while True:
                tally = take(stage.engine, producer.produced, sandbox.summary(), loop.time())
                watch(tally, _latest(sandbox))
                if producing.done() and tally.settled >= tally.produced:
                    break
                await asyncio.sleep(_LOOK_EVERY_S)
            stage.stop("the demo is over")
    return tally, loop.time() - started


class _Producer:
    """Produces at a pace, and never far ahead of what was read."""

    def __init__(self, bootstrap_servers: str, rate: float | None, datamarts: int) -> None:
        self._datamarts = datamarts
        self._bootstrap_servers = bootstrap_servers
        self._rate = rate
        self.produced = 0

    async def produce(self, batch: Iterable[Sample], stage: Running) -> None:
        """Send it all; returns when the broker has confirmed everything."""
        loop = asyncio.get_running_loop()
        started = loop.time()
        producer = AIOKafkaProducer(
            bootstrap_servers=self._bootstrap_servers, acks="all", linger_ms=5
        )
        await producer.start()
        try:
            for sample in batch:
                if self._rate is not None:
                    due = started + self.produced / self._rate
                    if due > loop.time():
                        await asyncio.sleep(due - loop.time())
                ledger = stage.engine.custody.ledger
                while self.produced - ledger.taken >= _AHEAD_MAX:  # noqa: ASYNC110 - nobody tells
                    await asyncio.sleep(_LOOK_EVERY_S / 10)
                await producer.send(
                    TOPIC, sample.value, key=sample.key, headers=self._headers(sample)
                )
                self.produced += 1
        finally:
            await producer.stop()

    def _headers(self, sample: Sample) -> list[tuple[str, bytes]]:
        if self._datamarts == 1:
            return []
        return [(HEADER, _shop(zlib.crc32(sample.key) % self._datamarts).encode())]


def _shop(number: int) -> str:
    return f"shop-{number + 1}"


def _latest(sandbox: State) -> list[Mapping[str, Any]]:
    return [
        activity
        for datamart in sandbox.datamarts.values()
        for activity in datamart.latest(_ACTIVITIES_SHOWN)
    ]


def _settings(bootstrap_servers: str, base_url: str, datamarts: int) -> Settings:
    destinations = [
        {
            "name": _shop(number),
            "base_url": base_url,
            "datamart_id": str(int(DATAMART) + number),
            "api_token": TOKEN,
        }
        for number in range(datamarts)
    ]
    sending = {
        "RELAY_DESTINATIONS": json.dumps(destinations),
        "RELAY_ROUTING__HEADER": HEADER,
    }
    if datamarts == 1:
        sending = {
            "RELAY_TRACKING__BASE_URL": base_url,
            "RELAY_TRACKING__DATAMART_ID": DATAMART,
            "RELAY_TRACKING__API_TOKEN": TOKEN,
        }
    return load(
        None,
        {
            "RELAY_KAFKA__BOOTSTRAP_SERVERS": bootstrap_servers,
            "RELAY_KAFKA__TOPICS": f'["{TOPIC}"]',
            "RELAY_DEAD_LETTER__CREATE": "false",  # that broker cannot be asked to
            **sending,
            "RELAY_IDENTITY__DEFAULT_COMPARTMENT_ID": "1000",
            "RELAY_ADMIN__PORT": "0",
        },
    )


def _faults(seed: int, datamarts: int) -> FaultPlan:
    last = f"/v1/datamarts/{int(DATAMART) + datamarts - 1}/*"
    down = FaultRule(kind=FaultKind.STATUS, status=503, path=last, times=_DOWN_REQUESTS)
    return FaultPlan(
        seed=seed,
        latency_ms=(5, 40),
        rules=(
            *((down,) if datamarts > 1 else ()),
            FaultRule(kind=FaultKind.STATUS, status=429, rate=0.02),
            FaultRule(kind=FaultKind.STATUS, status=500, rate=0.02),
        ),
    )
