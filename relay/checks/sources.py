"""The sources of the settings: mappings compile, and functions of the company's own are found."""

from collections.abc import Iterator

from relay.checks.finding import Finding, failure, ok, warning
from relay.errors import RelayError
from relay.settings import Settings
from relay.settings.topics import source_for, sources_of
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
        topics = ", ".join(source.topics)
        # Where topics are read by a pattern, nobody knows here which there are.
        read = settings.kafka.topics
        by_name = settings.kafka.topic_pattern is None
        if by_name and not any(source_for(t, settings.sources) is source for t in read):
            yield warning(
                "sources",
                f"{topics} ({source.what}): is the source of no topic that is read",
                "name its topics in kafka.topics, or use kafka.topic_pattern",
            )
            continue
        yield ok("sources", f"{topics}: {source.what}")
