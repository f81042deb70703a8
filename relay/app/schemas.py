"""What both roads ask of the schema registry."""

from collections.abc import Callable
from typing import TYPE_CHECKING

from relay.settings import Settings
from relay.settings.topics import sources_of
from relay.sources.interpret import Source

if TYPE_CHECKING:  # of the schema registry, which many do without
    from relay.sources.registry.loader import SchemaLoader


def sources(settings: Settings, loader: "SchemaLoader | None") -> tuple[Source, ...]:
    """The formats and mappings of the settings, with the schemas that the loader brings."""
    schemas = None if loader is None else loader.schemas
    return sources_of(settings.sources, settings.mappings, settings.decoding, schemas)


def problem_of(loader: "SchemaLoader | None") -> Callable[[], str | None]:
    """What the registry's trouble is now, if any."""
    return lambda: None if loader is None else loader.problem
