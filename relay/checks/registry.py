"""The schema registry: reachable, lets us in, and has what stands on the topics.

Producers may name subjects as they like. By the usual rule the values of a topic are `TOPIC-value`;
where there is no such subject nothing is known, which is no mistake.
"""

from collections.abc import AsyncIterator, Iterator

from relay.checks.finding import Finding, failure, ok, warning
from relay.errors import DestinationError, RelayError, SettingsError
from relay.settings import Settings
from relay.settings.topics import NEEDS_REGISTRY, SourceSettings, source_for
from relay.sources.formats import FormatName, require_extra
from relay.sources.formats.schemas import SchemaKind, SchemaUnusable
from relay.sources.registry.client import NotFound, RegistryClient, Unavailable
from relay.vendors import open_registry

_SUBJECT = "schema registry"
_NO_TOPIC = "relay-check"


async def check_registry(settings: Settings) -> AsyncIterator[Finding]:
    """Nothing where the settings name no registry."""
    if settings.schema_registry is None:
        return
    where = ", ".join(settings.schema_registry.urls)
    topics = list(_topics(settings))
    try:
        async with open_registry(settings.schema_registry) as client:
            found = await client.kind_of(_subject(_NO_TOPIC))
            if isinstance(found, Unavailable):
                yield failure(_SUBJECT, _refusal(where, found))
                return
            yield ok(_SUBJECT, f"{where}: answers and lets us in")
            for topic, source in topics:
                yield await _of_topic(client, topic, source)
    except RelayError as error:
        yield failure(_SUBJECT, error)


def _topics(settings: Settings) -> Iterator[tuple[str, SourceSettings]]:
    """The topics by name whose source needs the registry; the first source that fits is the one."""
    by_name = settings.kafka.topic_pattern is None
    for topic in settings.kafka.topics if by_name else ():
        source = source_for(topic, settings.sources)
        if source is not None and source.format in NEEDS_REGISTRY:
            yield topic, source


async def _of_topic(client: RegistryClient, topic: str, source: SourceSettings) -> Finding:
    subject = _subject(topic)
    try:
        found = await client.kind_of(subject)
    except SchemaUnusable as error:
        return warning(_SUBJECT, f"the newest schema of {subject} {error}")
    if isinstance(found, Unavailable):
        return failure(_SUBJECT, _refusal(subject, found))
    if isinstance(found, NotFound):
        return warning(
            _SUBJECT,
            f"there is no subject {subject}",
            "nothing was produced yet, or the producer names subjects otherwise: then all is well",
        )
    if source.format is not FormatName.SCHEMA_REGISTRY and found != source.format.upper():
        problem = f"{subject} is {found}, and the source of {topic} has format {source.format}"
        hint = f"set format: {_format_of(found)}, or schema_registry where kinds are mixed"
        return failure(_SUBJECT, SettingsError(problem, hint=hint))
    require_extra(found)
    return ok(_SUBJECT, f"{subject} is {found}, which {source.format} reads")


def _subject(topic: str) -> str:
    return f"{topic}-value"


def _format_of(kind: SchemaKind) -> FormatName:
    return FormatName.JSON_SCHEMA if kind is SchemaKind.JSON else FormatName(kind.lower())


def _refusal(where: str, found: Unavailable) -> DestinationError:
    hint = "check schema_registry" if found.refused else "check schema_registry.urls, the network"
    return DestinationError(f"{where}: {found.reason}", hint=hint)
