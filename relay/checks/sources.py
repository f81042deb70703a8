"""The sources of the settings: mappings compile, and functions of the company's own are found."""

from collections.abc import Iterator

from relay.checks.finding import Finding, failure, ok
from relay.errors import RelayError
from relay.settings import Settings
from relay.settings.topics import sources_of
from relay.sources.formats.schemas import SchemaCache


def check_sources(settings: Settings) -> Iterator[Finding]:
    """A line for each source: its topics, its format, and what makes events of it."""
    schemas = None if settings.schema_registry is None else SchemaCache()
    for source in settings.sources:
        try:
            sources_of([source], settings.mappings, settings.decoding, schemas)
        except RelayError as error:
            yield failure("sources", error)
            continue
        by = f"preset {source.preset}" if source.preset else f"mapping {source.mapping}"
        yield ok("sources", f"{', '.join(source.topics)}: {source.format}, {by}")
