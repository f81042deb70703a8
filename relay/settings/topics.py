"""What stands on which topic: format, and the preset or mapping that makes events of it.

Mappings are judged with the other settings, each mistake with its file and line; they are compiled
again when a source is made of them.
"""

from collections.abc import Iterator, Mapping, Sequence
from difflib import get_close_matches
from typing import Annotated, Any, Self

from pydantic import Field, model_validator

from relay.errors import SettingsError
from relay.section import Section
from relay.sources.formats import FormatName, FormatPolicy, build_format
from relay.sources.interpret import Source
from relay.sources.mapping import CompiledMapping, judge_mapping
from relay.sources.mapping.compiling import shown
from relay.sources.mapping.nodes import Severity
from relay.sources.plugins import PREFIX, load_plugin, plugin_mapping
from relay.sources.presets import preset, preset_names
from relay.yaml_text import Loc, Located

TopicPattern = Annotated[str, Field(pattern=r"^[a-zA-Z0-9._*?-]+$", max_length=249)]
NEEDS_REGISTRY = frozenset({FormatName.AVRO, FormatName.PROTOBUF, FormatName.SCHEMA_REGISTRY})


class SourceSettings(Section):
    """Topics that speak one format, and what makes events of it."""

    topics: list[TopicPattern] = Field(
        min_length=1,
        description="Names of topics; `*` stands for any signs, `?` for one.",
    )
    format: FormatName = Field(
        FormatName.JSON,
        description="What the bytes are (docs/FORMATS.md). Those that need a schema registry "
        "(avro, protobuf, schema_registry) are not available in `relay run` yet.",
    )
    preset: str | None = Field(
        None, description="The mapping that comes with Relay for a product (docs/PRESETS.md)."
    )
    mapping: str | None = Field(
        None,
        min_length=1,
        description="A name of `mappings`, or `python:module:function` for a function of your own.",
    )
    settings: dict[str, Any] = Field(
        default_factory=dict,
        description="Values for what the preset or the mapping declares under its `settings`.",
    )

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        if (self.preset is None) == (self.mapping is None):
            raise ValueError("give one of preset and mapping")
        if self.preset is not None and self.preset not in preset_names():
            raise ValueError(f"preset: there are {', '.join(preset_names())}")
        if self.is_plugin and self.settings:
            raise ValueError("settings: a function of your own takes none")
        if self.format in NEEDS_REGISTRY:
            raise ValueError(
                f"format {self.format}: formats of a schema registry are not available in relay "
                "run yet"
            )
        return self

    @property
    def is_plugin(self) -> bool:
        """Whether the mapping is a function of the company's own."""
        return self.mapping is not None and self.mapping.startswith(PREFIX)


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
        if source.is_plugin:
            continue
        if source.mapping is not None and source.mapping not in mappings:
            near = get_close_matches(source.mapping, list(mappings), n=1)
            meant = f"; did you mean {near[0]}?" if near else ""
            yield _told(given, (*at, "mapping"), f"mappings has no such name{meant}")
            continue
        for loc, text in _wrong_settings(source, mappings):
            yield _told(given, (*at, *loc), text)


def sources_of(
    sources: Sequence[SourceSettings], mappings: Mapping[str, Any], decoding: FormatPolicy
) -> tuple[Source, ...]:
    """The sources, ready for use; the first that fits a topic is the one for it.

    Raises SettingsError where a function of the company's own cannot be loaded.
    """
    return tuple(_source(source, mappings, decoding) for source in sources)


def _source(source: SourceSettings, mappings: Mapping[str, Any], decoding: FormatPolicy) -> Source:
    events_max = decoding.events_per_record_max
    if source.mapping is not None and source.is_plugin:
        function = load_plugin(source.mapping)
        name = source.mapping.removeprefix(PREFIX)
        made = plugin_mapping(function, name, events_max=events_max)
    else:
        compiled, _ = _judged(source, mappings, events_max)
        if compiled is None:
            raise SettingsError("mappings: cannot be compiled")
        made = compiled
    return Source(tuple(source.topics), build_format(source.format, decoding), made, events_max)


def _judged(
    source: SourceSettings, mappings: Mapping[str, Any], events_max: int = 1
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


def _wrong_settings(
    source: SourceSettings, mappings: Mapping[str, Any]
) -> Iterator[tuple[Loc, str]]:
    """What is wrong because of the source's settings; the mapping itself is judged by itself."""
    alone = source.model_copy(update={"settings": {}})
    known = {problem for _, problem in _judged(alone, mappings)[1]}
    for loc, text in _judged(source, mappings)[1]:
        if text not in known:
            yield (loc if loc[:1] == ("settings",) else ("settings",)), text


def _told(given: Located, loc: Loc, text: str) -> str:
    origin = given.origin(loc)
    name = "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in loc)
    return f"{origin}: {name.lstrip('.')}: {text}" if origin else f"{name.lstrip('.')}: {text}"
