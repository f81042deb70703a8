"""A letter about some of the events of its record → those events, by the settings' sources."""

from collections.abc import Sequence
from typing import Any

from relay.dead_letters.stored import OwnLetter
from relay.errors import SettingsError
from relay.model import Record, Undecodable
from relay.settings import Settings
from relay.settings.topics import source_for, sources_of
from relay.sources.formats.outcome import NOT_READ
from relay.sources.interpret import Source, reader_of
from relay.sources.mapping import CompiledMapping
from relay.stream.decoding.app_event import AppEvent


class LetterReader:
    """Reads letters as their topics are read. Of what cannot be read here it says nothing."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._sources: dict[str, Source | None] = {}

    def parts(self, letter: OwnLetter) -> dict[int, Any]:
        """Index → the part of the document that each event of the letter was made of.

        Nothing where the letter is about the whole record, where a function of the company's own
        maps it, or where the mapping makes another number of events of it by now.
        """
        death, source = letter.last, self._source(letter)
        elements = [] if source is None else _elements(source, _record(letter))
        # The letter names its events by number, in the order that the mapping had then. When the
        # mapping makes another number of them now, the numbers mean nothing.
        if not death.events_total or len(elements) != death.events_total:
            return {}
        return {index: elements[index] for index in death.events}

    def events(self, letter: OwnLetter) -> list[AppEvent]:
        """The events that the letter is about, as far as they are any."""
        death, source = letter.last, self._source(letter)
        if source is None:
            return []
        found = reader_of(source)(_record(letter))
        listed = found if isinstance(found, list) else [found]
        # Else all of them: a user who is looked for must not be missed because a mapping changed.
        if len(listed) == death.events_total:
            listed = [listed[index] for index in death.events]
        return [event for event in listed if not isinstance(event, NOT_READ)]

    def _source(self, letter: OwnLetter) -> Source | None:
        """That of the topic it died on; None where none is, or it cannot be used without more."""
        topic = letter.last.position.topic
        if topic not in self._sources:
            settings = self._settings
            fitting = source_for(topic, settings.sources)
            try:
                made = sources_of(
                    [fitting] if fitting else [], settings.mappings, settings.decoding
                )
            except SettingsError:  # a schema registry is not asked here
                made = ()
            self._sources[topic] = made[0] if made else None
        return self._sources[topic]


def _record(letter: OwnLetter) -> Record:
    death, stored = letter.last, letter.stored
    return Record(
        death.position.topic,
        death.position.partition,
        death.position.offset,
        death.timestamp_ms,
        stored.key,
        stored.value,
        tuple(stored.original_headers),
    )


def _elements(source: Source, record: Record) -> Sequence[Any]:
    documents = source.format(record)
    if isinstance(documents, NOT_READ) or not isinstance(source.mapping, CompiledMapping):
        return ()
    found: list[Any] = []
    for document in documents:
        if isinstance(document, Undecodable):
            found.append(None)
            continue
        inner = [here for here, _ in source.mapping.elements(document, record)]
        found += inner or [None]  # what has no events is one outcome, too
    return found
