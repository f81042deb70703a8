"""Composition root: settings in; edges, engine and loop built and joined; runs until told to stop.

Kafka ──▶ KafkaSource ──▶ Pipeline(Engine) ──▶ Wire ──▶ tracking API
                               └──▶ DeadLetterTopic
Reporter ──▶ log lines, /livez /readyz /metrics /status
"""

import asyncio
import random
import signal
import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import BinaryIO

from relay import __version__
from relay.clock import SystemClock
from relay.dead_letters.direct import Graves
from relay.errors import ExitStatus
from relay.process_exit import leave
from relay.settings import Settings
from relay.settings.secrets import secret_values
from relay.stream.consuming.kafka import KafkaSource
from relay.stream.consuming.source import RecordSource
from relay.stream.engine import Engine
from relay.stream.interpret import InterpretPolicy, interpreter
from relay.stream.pipeline import Pipeline
from relay.stream.sending.wire import open_wire
from relay.stream.settling.dead_letter_topic import DeadLetterTopic
from relay.stream.status import Reporter
from relay.telemetry.admin import admin_app, new_registry, serve_admin
from relay.telemetry.facts import Emit, Fact, Lifecycle, RelayStarted
from relay.telemetry.log import configure
from relay.telemetry.telemetry import Telemetry

STREAM_SECTIONS = (
    "kafka", "dead_letter", "tracking", "delivery", "identity", "mapping", "decoding", "admin",
    "log",
)  # fmt: skip
"""The sections of the settings that the stream cannot do without."""


@dataclass(frozen=True, slots=True)
class Running:
    """What a surface may look at and do while the stream runs."""

    engine: Engine
    reporter: Reporter
    stop: Callable[[str], None]


@dataclass(frozen=True, slots=True)
class KafkaEdges:
    """Where records come from, and where dead letters go."""

    source: RecordSource
    graves: Graves


def kafka_edges(settings: Settings, emit: Emit) -> KafkaEdges:
    """The topics and the dead-letter topic of the settings."""
    return KafkaEdges(
        KafkaSource(settings.kafka.consumer(settings.dead_letter.topic), emit),
        DeadLetterTopic(settings.dead_letter.policy(settings.kafka), emit),
    )


async def run_stream(
    settings: Settings,
    *,
    log_stream: BinaryIO | None = None,
    handle_signals: bool = True,
    started: Callable[[Running], None] | None = None,
    edges: Callable[[Settings, Emit], KafkaEdges] = kafka_edges,
) -> None:
    """Move records from Kafka to the API until a signal, or `Running.stop`.

    Raises:
        RelayError: What cannot be mended by waiting, or DrainIncomplete.
    """
    delivery = settings.delivery
    rng = random.Random()  # noqa: S311 - jitter, no secrets
    engine = Engine(
        delivery.engine(settings.tracking.datamart_id),
        interpreter(
            InterpretPolicy(
                settings.decoding.policy(),
                settings.mapping.policy(settings.identity, settings.tracking.datamart_id),
                delivery.order_by,
            )
        ),
        rng,
    )

    def emit(fact: Fact) -> None:
        telemetry.emit(fact)

    reporter = Reporter(engine, emit, delivery.report())
    registry = new_registry(reporter)
    log = configure(
        settings.log.level,
        json=settings.log.as_json(on_terminal=log_stream is None and sys.stdout.isatty()),
        stream=log_stream,
        secrets=secret_values(settings),
    )
    telemetry = Telemetry(log, registry)
    wire = open_wire(settings.tracking.wire_policy())
    kafka = edges(settings, emit)
    pipeline = Pipeline(
        engine,
        kafka.source,
        wire,
        kafka.graves,
        emit=emit,
        clock=SystemClock(),
        policy=delivery.pipeline(),
        reporter=reporter,
    )
    admin = settings.admin
    app = admin_app(reporter, registry)
    async with serve_admin(app, admin.host, admin.port) as address:
        emit(
            RelayStarted(
                version=__version__,
                group_id=settings.kafka.group_id,
                topics=settings.kafka.topic_pattern or ",".join(settings.kafka.topics),
                destination=settings.tracking.base_url,
                admin=address,
            )
        )
        stop = _stopper(pipeline)
        if handle_signals:
            _listen_for_signals(stop)
        if started is not None:
            started(Running(engine, reporter, stop))
        try:
            await kafka.graves.start()
            await pipeline.run()
        except asyncio.CancelledError:
            if reporter.lifecycle is not Lifecycle.STARTING:
                raise
        finally:
            await kafka.graves.stop()
            await wire.close()


def _stopper(pipeline: Pipeline) -> Callable[[str], None]:
    """A function that stops the stream, also while it still waits for the broker."""
    task = asyncio.current_task()

    def stop(reason: str) -> None:
        if pipeline.lifecycle is Lifecycle.STARTING and task is not None:
            task.cancel(reason)
        else:
            pipeline.stop(reason)

    return stop


def _listen_for_signals(stop: Callable[[str], None]) -> None:
    """The first SIGTERM or SIGINT drains, the second one leaves at once."""
    loop = asyncio.get_running_loop()
    seen = 0

    def received(name: str) -> None:
        nonlocal seen
        seen += 1
        if seen > 1:
            leave(ExitStatus.INTERRUPTED)
        stop(name)

    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, received, number.name)
