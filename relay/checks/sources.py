"""The sources of the settings: mappings compile, and functions of the company's own are found."""

from collections.abc import Iterator

from relay.checks.finding import Finding, failure, ok
from relay.errors import RelayError
from relay.settings import Settings
from relay.settings.topics import sources_of


def check_sources(settings: Settings) -> Iterator[Finding]:
    """A line for each source: its topics, its format, and what makes events of it."""
    for source in settings.sources:
        try:
            sources_of([source], settings.mappings, settings.decoding)
        except RelayError as error:
            yield failure("sources", error)
            continue
        by = f"preset {source.preset}" if source.preset else f"mapping {source.mapping}"
        yield ok("sources", f"{', '.join(source.topics)}: {source.format}, {by}")
