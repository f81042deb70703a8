"""The road from Kafka to bulk imports, in a consumer group of its own, made out of the settings.

Kafka ──▶ KafkaSource ──▶ Road(MembershipEngine, FileCarrier) ──▶ Importer ──▶ bulk imports
                           └──▶ DeadLetterTopic
"""

import random

from relay.apis.mediarithmics_document_imports import DocumentImports
from relay.app.edges import membership_edges
from relay.app.schemas import problem_of, sources
from relay.clock import SystemClock
from relay.membership.engine import MembershipEngine
from relay.membership.importer import Importer
from relay.membership.loop import FileCarrier
from relay.membership.mapping import changing
from relay.membership.status import MembershipReporter
from relay.road.loop import Road
from relay.segments.driver import Platform
from relay.settings import Settings
from relay.sources.registry.loader import SchemaLoader
from relay.telemetry.facts import Emit


class MembershipRoads:
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
        self._sources = sources(settings, loader)

    def make(self) -> Road:
        """A road with an engine and edges of its own."""
        settings, segments = self._settings, self._settings.segments
        delivery = settings.delivery
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
        return Road(
            MembershipReporter.road,
            engine,
            FileCarrier(engine, importer, self._emit, clock),
            edges.source,
            edges.sink,
            emit=self._emit,
            clock=clock,
            policy=delivery,
            reporter=MembershipReporter(engine, self._emit, delivery, problem_of(self._loader)),
            schemas=self._loader,
        )
