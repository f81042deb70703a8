"""The road from Kafka to the tracking API, made out of the settings.

Kafka ──▶ KafkaSource ──▶ Road(Engine, FlightCarrier) ──▶ Wire ──▶ tracking API
                           └──▶ DeadLetterTopic
"""

import asyncio
import random
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from relay.app.edges import KafkaEdges
from relay.app.schemas import problem_of, sources
from relay.clock import SystemClock
from relay.road.loop import Road
from relay.settings import Settings
from relay.settings.reading import interpret_policy
from relay.sources.interpret import source_interpreter
from relay.stream.engine import Engine
from relay.stream.pipeline import stream_road
from relay.stream.sending.wire import Wire
from relay.stream.status import Reporter
from relay.stream.tap import Tap
from relay.telemetry.facts import Emit
from relay.telemetry.tap_route import Close, Sample, SampleFilter

if TYPE_CHECKING:  # an extra, and a registry that many do without
    from opentelemetry.trace import Tracer

    from relay.sources.registry.loader import SchemaLoader
    from relay.stream.tracing import Tracing


class StreamRoads:
    """Makes the road of one event, as often as it is needed."""

    def __init__(
        self,
        settings: Settings,
        wires: dict[str, Wire],
        emit: Emit,
        rng: random.Random,
        edges: Callable[[Settings, Emit], KafkaEdges],
        *,
        loader: "SchemaLoader | None",
        tracer: "Tracer | None",
    ) -> None:
        self._tracer = tracer
        self._settings = settings
        self._wires = wires
        self._emit = emit
        self._rng = rng
        self._edges = edges
        self._loader = loader
        self._sources = sources(settings, loader)
        self._shadows = [source.shadow for source in self._sources if source.shadow is not None]
        self._interpret = source_interpreter(self._sources, interpret_policy(settings))
        self._tracing: Tracing | None = None
        self._is_made = False
        self._tap: Tap
        self.engine: Engine
        """That of the road made last."""

    def tap(self, wanted: SampleFilter, take: Callable[[Sample], None]) -> Close | None:
        """See `OpenTap`; of the road that runs now."""
        return self._tap.open(wanted, take)

    def take(self, settings: Settings, wires: Mapping[str, Wire]) -> None:
        """From now on by these, which have further destinations, each with its wire.

        In one step, so that no event meets a route without a destination; what is under way to
        those that were there is not touched.
        """
        self._settings = settings
        self._wires.update(wires)
        self._interpret = source_interpreter(self._sources, interpret_policy(settings))
        policies = settings.policies()
        with self._tap.away():
            self.engine.add({name: policies[name] for name in wires})
            self.engine.interpret = self._interpret
            if self._tracing is not None:
                self._tracing.attach()

    def make(self) -> Road:
        """A road with an engine and edges of its own."""
        settings, delivery = self._settings, self._settings.delivery
        (name, policy), *others = settings.policies().items()
        self.engine = Engine(policy, self._interpret, self._rng, name=name, others=dict(others))
        if self._tracer is not None:
            from relay.stream.tracing import Tracing  # noqa: PLC0415 - an extra

            ratio = settings.tracing.ratio
            self._tracing = Tracing(self.engine, self._tracer, ratio, self._rng)
            self._tracing.attach()
        if self._is_made:  # a road failed, and somebody may be looking
            self._tap.move_to(self.engine)
        else:
            loop = asyncio.get_running_loop()
            self._tap = Tap(self.engine, loop.time, loop.call_at)
            self._is_made = True
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
                registry_problem=problem_of(self._loader),
            ),
            schemas=self._loader,
        )
