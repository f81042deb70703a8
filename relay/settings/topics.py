"""What stands on which topic: format, and the preset or mapping that makes events of it.

Mappings are judged with the other settings, each mistake with its file and line; they are compiled
again when a source is made of them.
"""

from collections.abc import Iterator, Mapping, Sequence
from difflib import get_close_matches
from typing import Any, Self, TypeAlias

from pydantic import Field, model_validator

from relay.errors import SettingsError
from relay.section import Section
from relay.settings.options import dotted
from relay.sources.events import MappingFunction
from relay.sources.formats import FormatName, FormatPolicy, build_format
from relay.sources.formats.schemas import SchemaLookup
from relay.sources.interpret import Source, matching
from relay.sources.mapping import CompiledMapping, judge_mapping
from relay.sources.mapping.compiling import shown
from relay.sources.mapping.nodes import Severity
from relay.sources.plugins import PREFIX, load_plugin, plugin_mapping
from relay.sources.presets import preset, preset_names
from relay.sources.shadow import Shadow
from relay.stream.routing import TopicPattern
from relay.yaml_text import Loc, Located

NEEDS_REGISTRY = frozenset({FormatName.AVRO, FormatName.PROTOBUF, FormatName.SCHEMA_REGISTRY})


class ShadowSettings(Section):
    """A second mapping of a source that is tried out on the same records."""

    preset: str | None = Field(None, description="A preset, instead of `mapping`.")
    mapping: str | None = Field(
        None, min_length=1, description="A name of `mappings`, or `python:module:function`."
    )
    settings: dict[str, Any] = Field(
        default_factory=dict, description="Values for what it declares under its `settings`."
    )
    one_in: int = Field(
        1, ge=1, description="Of so many documents one is mapped by both. It costs as much again."
    )

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        _check_choice(self)
        return self


class SourceSettings(Section):
    """Topics that speak one format, and what makes events of it."""

    topics: list[TopicPattern] = Field(
        min_length=1,
        description="Names of topics; `*` stands for any signs, `?` for one.",
    )
    format: FormatName = Field(
        FormatName.JSON,
        description="What the bytes are (docs/FORMATS.md). avro, protobuf and schema_registry need "
        "`schema_registry.urls`.",
    )
    preset: str | None = Field(
        None, description="The mapping that comes with Relay for a product (docs/PRESETS.md)."
    )
    mapping: str | None = Field(
        None,
        min_length=1,
        description="A name of `mappings`, or `python:module:function` for a function of your own.",
    )
    ids_from: str | None = Field(
        None,
        min_length=1,
        description="Who gives the events of these topics their ids; part of `$unique_key`, in "
        "place of `mapping.source`. Set it where two sources may use the same id for different "
        "events at the same time. Changing it changes the keys of these topics.",
    )
    settings: dict[str, Any] = Field(
        default_factory=dict,
        description="Values for what the preset or the mapping declares under its `settings`.",
    )
    shadow: ShadowSettings | None = Field(
        None,
        description="A second mapping that is run beside and compared (`preset` or `mapping`, "
        "`settings`, `one_in`); what it makes is counted and sent nowhere (docs/MAPPING.md).",
    )

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        _check_choice(self)
        return self

    @property
    def what(self) -> str:
        """Format, and what makes events of it, for people."""
        by = f"mapping {self.mapping}" if self.preset is None else f"preset {self.preset}"
        return f"{self.format}, {by}"


Mapped: TypeAlias = SourceSettings | ShadowSettings
"""What names a mapping and the values of its settings."""


def is_plugin(mapped: Mapped) -> bool:
    """Whether the mapping is a function of the company's own."""
    return mapped.mapping is not None and mapped.mapping.startswith(PREFIX)


def _check_choice(mapped: Mapped) -> None:
    if (mapped.preset is None) == (mapped.mapping is None):
        raise ValueError("give one of preset and mapping")
    if mapped.preset is not None and mapped.preset not in preset_names():
        raise ValueError(f"preset: there are {', '.join(preset_names())}")
    if is_plugin(mapped) and mapped.settings:
        raise ValueError("settings: a function of your own takes none")


def source_for(topic: str, sources: Sequence[SourceSettings]) -> SourceSettings | None:
    """The first source that fits a topic; None: it is in Relay's own format."""
    return next((source for source in sources if matching(source.topics)(topic)), None)


def source_problems(
    sources: Sequence[SourceSettings], mappings: Mapping[str, Any], given: Located
) -> Iterator[str]:
    """A line for each thing that is wrong with the mappings, and with what sources ask of them."""
    for name in mappings:
        _, problems = judge_mapping(given, at=("mappings", name))
        for problem in problems:
            if problem.severity is Severity.ERROR:
                yield shown(given, ("mappings", name), problem)
    for number, source in enumerate(sources):
        at: Loc = ("sources", number)
        yield from _choice_problems(source, at, mappings, given)
        if source.shadow is not None:
            yield from _choice_problems(source.shadow, (*at, "shadow"), mappings, given)


def _choice_problems(
    mapped: Mapped, at: Loc, mappings: Mapping[str, Any], given: Located
) -> Iterator[str]:
    if is_plugin(mapped):
        return
    if mapped.mapping is not None and mapped.mapping not in mappings:
        near = get_close_matches(mapped.mapping, list(mappings), n=1)
        meant = f"; did you mean {near[0]}?" if near else ""
        yield told_at(given, (*at, "mapping"), f"mappings has no such name{meant}")
        return
    for loc, text in _wrong_settings(mapped, mappings):
        yield told_at(given, (*at, *loc), text)


def sources_of(
    sources: Sequence[SourceSettings],
    mappings: Mapping[str, Any],
    decoding: FormatPolicy,
    schemas: SchemaLookup | None = None,
) -> tuple[Source, ...]:
    """The sources, ready for use; the first that fits a topic is the one for it.

    `schemas` is the cache that a registry fills; None: there is no registry.

    Raises SettingsError where a function of the company's own cannot be loaded, or a format needs
    a package that is not installed.
    """
    return tuple(_source(source, mappings, decoding, schemas) for source in sources)


def _source(
    source: SourceSettings,
    mappings: Mapping[str, Any],
    decoding: FormatPolicy,
    schemas: SchemaLookup | None,
) -> Source:
    events_max = decoding.events_per_record_max
    made, makes_segments = _made(source, mappings, events_max)
    shadow = None
    if source.shadow is not None:
        shadow = Shadow(
            ", ".join(source.topics),
            _made(source.shadow, mappings, events_max)[0],
            one_in=source.shadow.one_in,
            copies=is_plugin(source.shadow),
        )
    return Source(
        tuple(source.topics),
        build_format(source.format, decoding, schemas),
        made,
        events_max,
        source.ids_from,
        shadow,
        makes_segments,
    )


def _made(
    mapped: Mapped, mappings: Mapping[str, Any], events_max: int
) -> tuple[MappingFunction, bool]:
    """The mapping, and whether it may make events of membership."""
    if mapped.mapping is not None and is_plugin(mapped):
        name = mapped.mapping.removeprefix(PREFIX)
        return plugin_mapping(load_plugin(mapped.mapping), name, events_max=events_max), True
    compiled, _ = _judged(mapped, mappings, events_max)
    if compiled is None:
        raise SettingsError("mappings: cannot be compiled")
    return compiled, compiled.makes_segments


def _judged(
    source: Mapped, mappings: Mapping[str, Any], events_max: int = 1
) -> tuple[CompiledMapping | None, list[tuple[Loc, str]]]:
    """The mapping of a source with the source's settings, and what is wrong with it."""
    at: Loc = ()
    if source.preset is not None:
        located = preset(source.preset)
    else:
        located = Located({"mappings": dict(mappings)})
        at = ("mappings", source.mapping or "")
    compiled, problems = judge_mapping(located, source.settings, at=at, events_max=events_max)
    return compiled, [(p.loc, p.text) for p in problems if p.severity is Severity.ERROR]


def _wrong_settings(source: Mapped, mappings: Mapping[str, Any]) -> Iterator[tuple[Loc, str]]:
    """What is wrong because of the source's settings; the mapping itself is judged by itself."""
    # What is wrong with the mapping by itself was told where it stands; only what is wrong besides
    # comes from the settings of this source.
    alone: Mapped = source.model_copy(update={"settings": {}})
    known = {problem for _, problem in _judged(alone, mappings)[1]}
    for loc, text in _judged(source, mappings)[1]:
        if text not in known:
            yield (loc if loc[:1] == ("settings",) else ("settings",)), text


def told_at(given: Located, loc: Loc, text: str) -> str:
    """A line about a setting, with the place where it was given."""
    origin = given.origin(loc)
    return f"{origin}: {dotted(loc)}: {text}" if origin else f"{dotted(loc)}: {text}"
