"""A letter about some of the events of its record → those events, as the record holds them."""

from collections.abc import Sequence
from typing import Any

from relay.dead_letters.buried import Letter
from relay.model import NeedsSchema, Record, Undecodable, Unwanted
from relay.settings import Settings
from relay.settings.topics import sources_of
from relay.sources.interpret import Source, by_topic
from relay.sources.mapping import CompiledMapping

_NOT_READ = (Undecodable, Unwanted, NeedsSchema)


def events_of_letter(letter: Letter, settings: Settings) -> dict[int, Any]:
    """Index → the part of the document that the event was made of.

    Nothing where the letter is about the whole record, where a function of the company's own maps
    it, or where the mapping makes another number of events of it by now.
    """
    death = letter.last
    if not death.events_total:
        return {}
    sources = sources_of(settings.sources, settings.mappings, settings.decoding)
    buried = letter.buried
    record = Record(
        death.position.topic,
        death.position.partition,
        death.position.offset,
        death.timestamp_ms,
        buried.key,
        buried.value,
        tuple(buried.original_headers),
    )
    source, _ = by_topic(sources, list[Source | None](sources), None)(record)
    elements = [] if source is None else _elements(source, record)
    if len(elements) != death.events_total:
        return {}
    return {index: elements[index] for index in death.events}


def _elements(source: Source, record: Record) -> Sequence[Any]:
    documents = source.format(record)
    if isinstance(documents, _NOT_READ) or not isinstance(source.mapping, CompiledMapping):
        return ()
    found: list[Any] = []
    for document in documents:
        if isinstance(document, Undecodable):
            found.append(None)
            continue
        inner = [here for here, _ in source.mapping.elements(document, record)]
        found += inner or [None]  # what has no events is one outcome, too
    return found
