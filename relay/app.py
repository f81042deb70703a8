"""Composition root: settings in; edges, engine and loop built and joined; runs until told to stop.

Kafka ──▶ KafkaSource ──▶ Pipeline(Engine) ──▶ Wire ──▶ tracking API
                               └──▶ DeadLetterTopic
Reporter ──▶ log lines, /livez /readyz /metrics /status

With `segments.membership` enabled, a second road beside it, in a consumer group of its own:

Kafka ──▶ KafkaSource ──▶ MembershipLoop(MembershipEngine) ──▶ Importer ──▶ bulk imports
                               └──▶ DeadLetterTopic
"""

import asyncio
import random
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, replace
from typing import BinaryIO

from relay import __version__
from relay.clock import SystemClock
from relay.errors import ExitStatus, sole
from relay.membership.engine import MembershipEngine
from relay.membership.importer import Importer
from relay.membership.loop import MembershipLoop
from relay.membership.mapping import changing
from relay.membership.policy import ChangePolicy, LoopPolicy
from relay.membership.status import MembershipReporter
from relay.process_exit import leave
from relay.process_start import stop_signals
from relay.road.consuming.kafka import KafkaSource
from relay.road.consuming.source import RecordSource
from relay.road.settling.dead_letter_topic import DeadLetterTopic
from relay.road.settling.letter_writer import Graves
from relay.settings import Settings
from relay.settings.secrets import secret_values
from relay.stream.engine import Engine
from relay.stream.interpret import InterpretPolicy, interpreter
from relay.stream.pipeline import Pipeline
from relay.stream.sending.open_wire import open_wire
from relay.stream.status import Reporter
from relay.telemetry.admin import admin_app, new_registry, serve_admin
from relay.telemetry.facts import Emit, Fact, Lifecycle, MembershipStarted, RelayStarted
from relay.telemetry.health import Both
from relay.telemetry.log import configure
from relay.telemetry.telemetry import Telemetry
from relay.vendors import open_document_imports

STREAM_SECTIONS = (
    "kafka", "dead_letter", "tracking", "delivery", "identity", "mapping", "decoding", "admin",
    "log", "segments",
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
    membership: "KafkaEdges | None" = None
    """Those of the road of membership events, when it is to run."""


def kafka_edges(settings: Settings, emit: Emit) -> KafkaEdges:
    """The topics and the dead-letter topic of the settings, for each road that is enabled."""
    consumer = settings.kafka.consumer(settings.dead_letter.topic)
    letters = settings.dead_letter.policy(settings.kafka)
    beside = None
    if settings.segments.membership.enabled:
        instance = consumer.group_instance_id
        own = replace(
            consumer,
            group_id=settings.segments.membership_group(consumer.group_id),
            group_instance_id=None if instance is None else f"{instance}-segments",
        )
        beside = KafkaEdges(KafkaSource(own, emit), DeadLetterTopic(letters, emit))
    return KafkaEdges(KafkaSource(consumer, emit), DeadLetterTopic(letters, emit), beside)


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
    mapping = settings.mapping.policy(settings.identity, settings.tracking.datamart_id)
    engine = Engine(
        delivery.engine(settings.tracking.datamart_id),
        interpreter(InterpretPolicy(settings.decoding.policy(), mapping, delivery.order_by)),
        rng,
    )

    def emit(fact: Fact) -> None:
        telemetry.emit(fact)

    reporter = Reporter(engine, emit, delivery.report())
    kafka = edges(settings, emit)
    async with AsyncExitStack() as stack:
        beside = None
        if kafka.membership is not None:
            changes = settings.segments.change_policy(settings.decoding.policy(), mapping)
            road = _membership_road(settings, kafka.membership, changes, emit, rng)
            beside = await stack.enter_async_context(road)
        seen = reporter if beside is None else Both(reporter, beside.reporter, "segments")
        registry = new_registry(seen)
        log = configure(
            settings.log.level,
            json=settings.log.as_json(on_terminal=log_stream is None and sys.stdout.isatty()),
            stream=log_stream,
            secrets=secret_values(settings),
        )
        telemetry = Telemetry(log, registry)
        wire = open_wire(settings.tracking.wire_policy())
        stack.push_async_callback(wire.close)
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
        app = admin_app(seen, registry)
        address = await stack.enter_async_context(serve_admin(app, admin.host, admin.port))
        emit(
            RelayStarted(
                version=__version__,
                group_id=settings.kafka.group_id,
                topics=settings.kafka.topic_pattern or ",".join(settings.kafka.topics),
                destination=settings.tracking.base_url,
                admin=address,
            )
        )
        stop = _stopper(pipeline, None if beside is None else beside.loop)
        if handle_signals:
            _listen_for_signals(stop)
        if started is not None:
            started(Running(engine, reporter, stop))
        try:
            await _run(pipeline, kafka.graves, None if beside is None else beside.loop)
        except asyncio.CancelledError:
            if reporter.lifecycle is not Lifecycle.STARTING:
                raise


async def _run(pipeline: Pipeline, graves: Graves, beside: MembershipLoop | None) -> None:
    """Both roads, until both have ended; an error of one ends the other."""

    async def stream() -> None:
        try:
            await graves.start()
            await pipeline.run()
        finally:
            await graves.stop()

    if beside is None:
        await stream()
        return
    try:
        async with asyncio.TaskGroup() as roads:
            roads.create_task(stream(), name="stream")
            roads.create_task(beside.run(), name="membership")
    except BaseExceptionGroup as group:
        raise sole(group) from None


@dataclass(frozen=True, slots=True)
class _MembershipRoad:
    """What the surfaces need of it."""

    loop: MembershipLoop
    reporter: MembershipReporter


@asynccontextmanager
async def _membership_road(
    settings: Settings, edges: KafkaEdges, changes: ChangePolicy, emit: Emit, rng: random.Random
) -> AsyncIterator[_MembershipRoad]:
    """Membership events into bulk imports."""
    segments, delivery = settings.segments, settings.delivery
    group_id = segments.membership_group(settings.kafka.group_id)
    engine = MembershipEngine(segments.membership_policy(changes), changing(changes), rng)
    reporter = MembershipReporter(engine, emit)
    policy = segments.importer_policy(group_id)
    clock = SystemClock()
    async with open_document_imports(settings, rng) as imports:
        loop = MembershipLoop(
            engine,
            edges.source,
            Importer(imports, policy, clock=clock, rng=rng, emit=emit),
            edges.graves,
            emit=emit,
            clock=clock,
            policy=LoopPolicy(
                commit_every_s=delivery.commit_every_s,
                revoke_budget_s=delivery.revoke_budget_s,
                drain_deadline_s=delivery.drain_deadline_s,
            ),
            reporter=reporter,
            started=MembershipStarted(group_id=group_id, imports=policy.name),
        )
        yield _MembershipRoad(loop, reporter)


def _stopper(pipeline: Pipeline, beside: MembershipLoop | None) -> Callable[[str], None]:
    """A function that stops the roads, also while they still wait for the broker."""
    task = asyncio.current_task()

    def stop(reason: str) -> None:
        if beside is not None:
            beside.stop()
        if pipeline.lifecycle is Lifecycle.STARTING and task is not None:
            task.cancel(reason)
        else:
            pipeline.stop(reason)

    return stop


def _listen_for_signals(stop: Callable[[str], None]) -> None:
    """The first stop signal drains, the second one leaves at once.

    SIGHUP only says that a terminal or the supervisor is gone: it is never the second.
    """
    loop = asyncio.get_running_loop()
    seen = 0

    def received(name: str) -> None:
        nonlocal seen
        if seen and name == "SIGHUP":
            return
        seen += 1
        if seen > 1:
            leave(ExitStatus.INTERRUPTED)
        stop(name)

    for number in stop_signals():
        loop.add_signal_handler(number, received, number.name)
