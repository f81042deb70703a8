"""Settings in; roads and what shows them built and joined, run until a stop.

The stream (`stream`), and beside it, with `segments.membership` enabled, that of membership events
(`membership`). Each road is kept running by `KeptRoad`: one that fails does not take the other
along.
"""

import asyncio
import random
from collections.abc import Awaitable, Callable, Coroutine, Iterable, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, BinaryIO

from relay.app.edges import KafkaEdges, kafka_edges
from relay.app.following import SettingsFile, follow
from relay.app.stream import StreamRoads
from relay.app.surface import tell_start, tracer_of, view_of
from relay.backoff import RestartPolicy
from relay.dead_letters.from_page import replay_by_settings
from relay.errors import ExitStatus
from relay.process_exit import leave
from relay.process_start import stop_signals
from relay.road.keep import KeptRoad
from relay.settings import Settings
from relay.settings.secrets import secret_values
from relay.settings.shown import shown
from relay.stream.engine import Engine
from relay.stream.facts import TokenReloaded
from relay.stream.sending.open_wire import open_wire
from relay.stream.sending.wire import Wire
from relay.stream.status import Reporter
from relay.telemetry.admin import View, admin_app, new_registry, serve_admin
from relay.telemetry.facts import Emit, Fact
from relay.telemetry.health import Roads, StatusSource
from relay.telemetry.telemetry import Telemetry

if TYPE_CHECKING:  # of the schema registry, which many do without
    from relay.sources.registry.loader import SchemaLoader

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


# Everything is made before anything runs: a mistake in the settings ends the start before Kafka
# hands out a partition. The stack closes it in the opposite order: the admin port first, and the
# wires when no road uses them any more.
async def run_stream(
    settings: Settings,
    *,
    log_stream: BinaryIO | None = None,
    handle_signals: bool = True,
    started: Callable[[Running], None] | None = None,
    edges: Callable[[Settings, Emit], KafkaEdges] | None = None,
    file: SettingsFile | None = None,
) -> None:
    """Move records from Kafka to the API until a signal, or `Running.stop`.

    With `edges` of the caller's own there is one road, and it is not started again: what it reads
    from may be there once only. Destinations that come to `file` later are added meanwhile.

    Raises:
        RelayError: What cannot be fixed by waiting, DrainIncomplete or CommitIncomplete.
    """
    rng = random.Random()  # noqa: S311 - jitter, no secrets

    def emit(fact: Fact) -> None:
        telemetry.emit(fact)

    async with AsyncExitStack() as stack:
        wires = _wires(settings, settings.sending, emit, stack)
        loader = await _schema_loader(settings, emit, rng, stack)
        tracer = await tracer_of(settings, stack)
        stream = StreamRoads(
            settings, wires, emit, rng, edges or kafka_edges, loader=loader, tracer=tracer
        )
        restart = RestartPolicy() if edges is None else None
        main = KeptRoad(Reporter.road, stream.make, emit, restart)
        others = []
        if settings.segments.membership.enabled and edges is None:
            others.append(await _membership(settings, emit, rng, loader, stack))
        roads = [main, *others]
        beside: dict[str, StatusSource] = {road.name: road for road in others}
        seen = Roads(main, beside)
        registry = new_registry(seen)
        log = settings.log.opened(secret_values(settings), log_stream)
        again = replay_by_settings(settings, emit) if edges is None else None
        view = view_of(settings, stream.tap, again)
        telemetry = Telemetry(log, registry, view.recent, wires)
        admin = settings.admin
        app = admin_app(seen, registry, view)
        address = await stack.enter_async_context(serve_admin(app, admin.host, admin.port))
        tell_start(settings, address, emit, membership=bool(others))

        def stop(reason: str) -> None:
            for road in roads:
                road.stop(reason)

        if handle_signals:
            _listen_for_signals(stop, settings.delivery.stop_deadline_s + _BEYOND_DEADLINE_S)
        if started is not None:
            started(Running(stream.engine, stop))
        take = _taker(wires, emit, stack, telemetry, stream, view)
        following = None if file is None else follow(file, settings, take, emit)
        await _run(roads, stop, following)


def _taker(  # noqa: PLR0917 - all that a new destination changes
    wires: Mapping[str, Wire],
    emit: Emit,
    stack: AsyncExitStack,
    telemetry: Telemetry,
    stream: StreamRoads,
    view: View,
) -> Callable[[Settings], Awaitable[None]]:
    """A function that adds the destinations which new settings have."""

    async def take(new: Settings) -> None:
        added = [name for name in new.sending if name not in wires]
        async with AsyncExitStack() as opened:  # all of them, or none
            more = _wires(new, added, emit, opened)
            stack.push_async_exit(opened.pop_all())
        telemetry.add(added, secret_values(new))
        stream.take(new, more)
        view.settings.update(shown(new))

    return take


def _wires(
    settings: Settings, names: Iterable[str], emit: Emit, stack: AsyncExitStack
) -> dict[str, Wire]:
    """One for each of these destinations, closed when the stack is left."""
    wires = {}
    for name in names:
        sending, renewed = settings.sending[name], partial(_tell_renewed, emit, name)
        wires[name] = open_wire(sending, sending.authorization(renewed))
        stack.push_async_callback(wires[name].close)
    return wires


def _tell_renewed(emit: Emit, destination: str) -> None:
    emit(TokenReloaded(destination=destination))


async def _schema_loader(
    settings: Settings, emit: Emit, rng: random.Random, stack: AsyncExitStack
) -> "SchemaLoader | None":
    if settings.schema_registry is None:
        return None
    from relay.vendors import open_schema_loader  # noqa: PLC0415 - only where there is one

    opened = open_schema_loader(settings.schema_registry, rng, emit)
    return await stack.enter_async_context(opened)


async def _membership(
    settings: Settings,
    emit: Emit,
    rng: random.Random,
    loader: "SchemaLoader | None",
    stack: AsyncExitStack,
) -> KeptRoad:
    # Only where it is enabled: a road that is off is not worth its imports.
    from relay.app.membership import MembershipRoads  # noqa: PLC0415
    from relay.membership.status import MembershipReporter  # noqa: PLC0415
    from relay.vendors import open_document_imports  # noqa: PLC0415

    imports = await stack.enter_async_context(open_document_imports(settings, rng))
    made = MembershipRoads(settings, imports, emit, rng, loader=loader)
    return KeptRoad(MembershipReporter.road, made.make, emit, RestartPolicy())


async def _run(
    roads: Sequence[KeptRoad],
    stop: Callable[[str], None],
    beside: Coroutine[None, None, None] | None,
) -> None:
    """All roads, until all have ended; the error that ended the first is raised at the end.

    `beside` runs for as long as they do.
    """
    failures: list[Exception] = []

    async def run(road: KeptRoad) -> None:
        try:
            await road.run()
        except Exception as error:  # noqa: BLE001 - raised below, when the others have drained
            failures.append(error)
            stop(f"{road.name} has ended")

    async with asyncio.TaskGroup() as both:
        other = None if beside is None else both.create_task(beside, name="settings")
        async with asyncio.TaskGroup() as tasks:
            for road in roads:
                tasks.create_task(run(road), name=road.name)
        if other is not None:
            other.cancel()
    if failures:
        raise failures[0]


def _listen_for_signals(stop: Callable[[str], None], within_s: float) -> None:
    """The first stop signal drains, the second one leaves at once.

    SIGHUP only says that a terminal or the supervisor is gone: it is never the second. Should
    anything keep the roads from ending by their deadline, the process ends then.
    """
    loop = asyncio.get_running_loop()
    seen = 0

    # Each signal, by what came before it:
    #
    #     the first             the roads drain; a timer ends the process if one of them hangs
    #     SIGHUP after another  nothing: the terminal or supervisor is gone, too
    #     any other second one  the end, at once
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
