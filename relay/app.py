"""Composition root: settings in; edges, engines and roads built and joined, run until a stop.

Kafka ──▶ KafkaSource ──▶ Road(Engine, FlightCarrier) ──▶ Wire ──▶ tracking API
                           └──▶ DeadLetterTopic
reporters ──▶ log lines, /livez /readyz /metrics /status

With `segments.membership` enabled, a second road beside it, in a consumer group of its own:

Kafka ──▶ KafkaSource ──▶ Road(MembershipEngine, FileCarrier) ──▶ Importer ──▶ bulk imports
                           └──▶ DeadLetterTopic

Each road is kept running by `KeptRoad`: one that fails does not take the other along.
"""

import asyncio
import random
import socket
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, BinaryIO

from relay import __version__
from relay.apis.mediarithmics_document_imports import DocumentImports
from relay.clock import SystemClock
from relay.dead_letters.from_page import sends_again
from relay.errors import ExitStatus
from relay.membership.engine import MembershipEngine
from relay.membership.importer import Importer
from relay.membership.loop import membership_road
from relay.membership.mapping import changing
from relay.membership.status import MembershipReporter
from relay.process_exit import leave
from relay.process_start import stop_signals
from relay.road.consuming.kafka import KafkaSource
from relay.road.consuming.source import RecordSource
from relay.road.keep import KeptRoad, RestartPolicy
from relay.road.loop import Road
from relay.road.settling.dead_letter_topic import DeadLetterTopic
from relay.road.settling.letter_writer import DeadLetterSink
from relay.segments.driver import Platform
from relay.settings import Settings
from relay.settings.reading import interpret_policy
from relay.settings.secrets import secret_values
from relay.settings.shown import shown
from relay.settings.topics import sources_of
from relay.sources.interpret import Source, source_interpreter
from relay.sources.registry.loader import SchemaLoader
from relay.stream.engine import Engine
from relay.stream.interpret import OrderBy
from relay.stream.pipeline import stream_road
from relay.stream.sending.open_wire import open_wire
from relay.stream.sending.wire import Wire
from relay.stream.status import Reporter
from relay.stream.tap import Tap
from relay.telemetry.access import Access
from relay.telemetry.admin import View, admin_app, new_registry, serve_admin
from relay.telemetry.facts import Emit, Fact, MembershipStarted, RelayStarted
from relay.telemetry.health import Roads, StatusSource
from relay.telemetry.letters_again import SendAgain
from relay.telemetry.recent import Recent
from relay.telemetry.samples import Close, OpenTap, Sample, Wanted
from relay.telemetry.spans import open_tracer
from relay.telemetry.telemetry import Telemetry
from relay.vendors import open_document_imports, open_schema_loader

if TYPE_CHECKING:  # an extra
    from opentelemetry.trace import Tracer

STREAM_SECTIONS = (
    "kafka", "dead_letter", "tracking", "destinations", "routing", "delivery", "identity",
    "mapping", "decoding", "admin", "log", "tracing", "segments", "sources", "mappings",
    "schema_registry",
)  # fmt: skip
"""The sections of the settings that the stream cannot do without."""


@dataclass(frozen=True, slots=True)
class Running:
    """What a surface may look at and do while the stream runs."""

    engine: Engine
    stop: Callable[[str], None]


@dataclass(frozen=True, slots=True)
class KafkaEdges:
    """Where the records of one road come from, and where its dead letters go."""

    source: RecordSource
    sink: DeadLetterSink


def kafka_edges(settings: Settings, emit: Emit) -> KafkaEdges:
    """The stream's: the topics and the dead-letter topic of the settings."""
    letters = settings.dead_letter.policy(settings.kafka)
    consumer = settings.kafka.consumer(settings.dead_letter.topic)
    consumer = replace(consumer, shares_rate=settings.shares_rate)
    if settings.delivery.order_by not in {OrderBy.USER, OrderBy.KEY}:
        consumer = replace(consumer, new_partition_wait_s=0.0)
    return KafkaEdges(KafkaSource(consumer, emit), DeadLetterTopic(letters, emit))


def membership_edges(settings: Settings, emit: Emit) -> KafkaEdges:
    """Those of membership events: the same topics, by a consumer group of their own."""
    consumer = settings.kafka.consumer(settings.dead_letter.topic)
    instance = consumer.group_instance_id
    own = replace(
        consumer,
        group_id=settings.segments.membership_group(consumer.group_id),
        group_instance_id=None if instance is None else f"{instance}-segments",
        # A new owner waits until nothing is under way in the group (`Importer.wait_for_others`),
        # which never comes while the other members go on.
        keeps_partitions=False,
    )
    letters = settings.dead_letter.policy(settings.kafka)
    return KafkaEdges(KafkaSource(own, emit), DeadLetterTopic(letters, emit))


async def run_stream(
    settings: Settings,
    *,
    log_stream: BinaryIO | None = None,
    handle_signals: bool = True,
    started: Callable[[Running], None] | None = None,
    edges: Callable[[Settings, Emit], KafkaEdges] | None = None,
) -> None:
    """Move records from Kafka to the API until a signal, or `Running.stop`.

    With `edges` of the caller's own there is one road, and it is not started again: what it reads
    from may be there once only.

    Raises:
        RelayError: What cannot be fixed by waiting, DrainIncomplete or CommitIncomplete.
    """
    rng = random.Random()  # noqa: S311 - jitter, no secrets

    def emit(fact: Fact) -> None:
        telemetry.emit(fact)

    async with AsyncExitStack() as stack:
        wires = {}
        for name, sending in settings.sending.items():
            wires[name] = open_wire(sending, sending.authorization())
            stack.push_async_callback(wires[name].close)
        restart = RestartPolicy() if edges is None else None
        loader = None
        if settings.schema_registry is not None:
            opened = open_schema_loader(settings.schema_registry, rng, emit)
            loader = await stack.enter_async_context(opened)
        tracer = await _tracer(settings, stack)
        stream = _Stream(
            settings, wires, emit, rng, edges or kafka_edges, loader=loader, tracer=tracer
        )
        roads = [KeptRoad(Reporter.road, stream.make, emit, restart)]
        membership = settings.segments.membership.enabled and edges is None
        if membership:
            imports = await stack.enter_async_context(open_document_imports(settings, rng))
            road = _Membership(settings, imports, emit, rng, loader=loader)
            roads.append(KeptRoad(MembershipReporter.road, road.make, emit, restart))
        main, *others = roads
        beside: dict[str, StatusSource] = {road.name: road for road in others}
        seen = Roads(main, beside)
        registry = new_registry(seen)
        log = settings.log.opened(secret_values(settings), log_stream)
        again = sends_again(settings, emit) if edges is None else None
        view = _view(settings, stream.tap, again)
        telemetry = Telemetry(log, registry, view.recent, wires)
        admin = settings.admin
        app = admin_app(seen, registry, view)
        address = await stack.enter_async_context(serve_admin(app, admin.host, admin.port))
        _tell_start(settings, address, emit, membership=membership)

        def stop(reason: str) -> None:
            for road in roads:
                road.stop(reason)

        if handle_signals:
            _listen_for_signals(stop, settings.delivery.stop_deadline_s + _BEYOND_DEADLINE_S)
        if started is not None:
            started(Running(stream.engine, stop))
        await _run(roads, stop)


async def _run(roads: Sequence[KeptRoad], stop: Callable[[str], None]) -> None:
    """All roads, until all have ended; the error that ended the first is raised at the end."""
    failures: list[Exception] = []

    async def run(road: KeptRoad) -> None:
        try:
            await road.run()
        except Exception as error:  # noqa: BLE001 - raised below, when the others have drained
            failures.append(error)
            stop(f"{road.name} has ended")

    async with asyncio.TaskGroup() as tasks:
        for road in roads:
            tasks.create_task(run(road), name=road.name)
    if failures:
        raise failures[0]


async def _tracer(settings: Settings, stack: AsyncExitStack) -> "Tracer | None":
    tracing = settings.tracing
    if not tracing.enabled:
        return None
    resource = {
        "service.name": "relay",
        "service.version": __version__,
        "service.instance.id": socket.gethostname(),
    }
    return await stack.enter_async_context(open_tracer(tracing.endpoint, resource))


class _Stream:
    """Makes the road of one event, as often as it is needed."""

    def __init__(
        self,
        settings: Settings,
        wires: Mapping[str, Wire],
        emit: Emit,
        rng: random.Random,
        edges: Callable[[Settings, Emit], KafkaEdges],
        *,
        loader: SchemaLoader | None,
        tracer: "Tracer | None",
    ) -> None:
        self._tracer = tracer
        self._settings = settings
        self._wires = wires
        self._emit = emit
        self._rng = rng
        self._edges = edges
        self._loader = loader
        sources = _sources(settings, loader)
        self._shadows = [source.shadow for source in sources if source.shadow is not None]
        self._interpret = source_interpreter(
            sources,
            interpret_policy(settings),
        )
        self.engine: Engine
        """That of the road made last."""

    def tap(self, wanted: Wanted, take: Callable[[Sample], None]) -> Close | None:
        """See `OpenTap`; of the road that runs now."""
        return self._tap.open(wanted, take)

    def make(self) -> Road:
        """A road with an engine and edges of its own."""
        settings, delivery = self._settings, self._settings.delivery
        (name, policy), *others = settings.policies().items()
        self.engine = Engine(policy, self._interpret, self._rng, name=name, others=dict(others))
        if self._tracer is not None:
            from relay.stream.tracing import Tracing  # noqa: PLC0415 - an extra

            Tracing(self.engine, self._tracer, settings.tracing.ratio, self._rng).attach()
        loop = asyncio.get_running_loop()
        self._tap = Tap(self.engine, loop.time, loop.call_at)
        edges = self._edges(settings, self._emit)
        return stream_road(
            self.engine,
            edges.source,
            self._wires,
            edges.sink,
            emit=self._emit,
            clock=SystemClock(),
            policy=delivery,
            reporter=Reporter(
                self.engine,
                self._emit,
                delivery,
                shadows=self._shadows,
                registry_problem=_problem_of(self._loader),
            ),
            schemas=self._loader,
        )


class _Membership:
    """Makes the road of membership events, as often as it is needed."""

    def __init__(
        self,
        settings: Settings,
        imports: DocumentImports,
        emit: Emit,
        rng: random.Random,
        *,
        loader: SchemaLoader | None,
    ) -> None:
        self._settings = settings
        self._imports = imports
        self._emit = emit
        self._rng = rng
        self._loader = loader
        self._sources = _sources(settings, loader)

    def make(self) -> Road:
        """A road with an engine and edges of its own."""
        settings, segments, delivery = (
            self._settings,
            self._settings.segments,
            self._settings.delivery,
        )
        mapping = settings.mapping.complete(settings.identity, settings.tracking.datamart_id)
        changes = segments.change_policy(settings.decoding, mapping)
        engine = MembershipEngine(
            segments.membership_policy(changes), changing(changes, self._sources), self._rng
        )
        clock = SystemClock()
        group_id = segments.membership_group(settings.kafka.group_id)
        platform = Platform(self._imports, clock)
        importer = Importer(platform, segments.importer_policy(group_id), self._rng)
        edges = membership_edges(settings, self._emit)
        return membership_road(
            engine,
            edges.source,
            importer,
            edges.sink,
            emit=self._emit,
            clock=clock,
            policy=delivery,
            reporter=MembershipReporter(engine, self._emit, delivery, _problem_of(self._loader)),
            schemas=self._loader,
        )


def _sources(settings: Settings, loader: SchemaLoader | None) -> tuple[Source, ...]:
    schemas = None if loader is None else loader.schemas
    return sources_of(settings.sources, settings.mappings, settings.decoding, schemas)


def _view(settings: Settings, open_tap: OpenTap, send_again: SendAgain | None) -> View:
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
    return View(access, recent, about, shown(settings), open_tap, send_again)


def _tell_start(settings: Settings, address: str, emit: Emit, *, membership: bool) -> None:
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
        group_id = segments.membership_group(kafka.group_id)
        emit(MembershipStarted(group_id=group_id, imports=segments.importer_policy(group_id).name))


def _addresses(settings: Settings) -> Iterator[str]:
    sending = settings.sending
    for name, one in sending.items():
        yield f"{name} {one.base_url}" if len(sending) > 1 else one.base_url


def _listen_for_signals(stop: Callable[[str], None], within_s: float) -> None:
    """The first stop signal drains, the second one leaves at once.

    SIGHUP only says that a terminal or the supervisor is gone: it is never the second. Should
    anything keep the roads from ending by their deadline, the process ends then.
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
        loop.call_later(within_s, leave, ExitStatus.DRAIN_INCOMPLETE)
        stop(name)

    for number in stop_signals():
        loop.add_signal_handler(number, received, number.name)


_BEYOND_DEADLINE_S = 3.0
"""For what comes after the roads: the wire's connections, the admin port, the last lines."""


def _problem_of(loader: SchemaLoader | None) -> Callable[[], str | None]:
    return lambda: None if loader is None else loader.problem
