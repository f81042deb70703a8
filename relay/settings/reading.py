"""Settings → what becomes of a record: how it is read, mapped, and which destination it goes to."""

from relay.settings import Settings
from relay.stream.interpret import InterpretPolicy, Routes
from relay.stream.mapping import MappingPolicy
from relay.stream.routing import chooser


def interpret_policy(settings: Settings) -> InterpretPolicy:
    """With one destination, and nothing said about routing, there is nothing to choose."""
    mappings = mapping_policies(settings)
    routes = None
    if len(mappings) > 1 or settings.routing.decides:
        routes = Routes(chooser(settings.routing, mappings), mappings)
    first = next(iter(mappings.values()))
    return InterpretPolicy(settings.decoding, first, settings.delivery.order_by, routes)


def mapping_policies(settings: Settings) -> dict[str, MappingPolicy]:
    """Those of each destination: they differ in the datamart."""
    return {
        name: settings.mapping.complete(
            settings.identity,
            one.datamart_id,
            segments_are_imported=settings.segments.membership.enabled,
        )
        for name, one in settings.sending.items()
    }
