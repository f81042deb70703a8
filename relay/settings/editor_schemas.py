"""Settings models and the words of the mapping language → JSON Schemas for editors.

`schemas/relay.v1.json` is about a settings file, `schemas/mapping.v1.json` about a mapping in a
file of its own. They say which keys there are, of which kind their values are, and what they do.
What `relay check` knows beyond that, an editor does not: it never refuses what Relay takes.
"""

from collections.abc import Iterator
from typing import Any

from pydantic import BaseModel

from relay.settings import Settings
from relay.settings.destinations import DestinationSettings
from relay.settings.options import is_secret, models_in
from relay.settings.topics import ShadowSettings, SourceSettings
from relay.sources.mapping.compiling import KEYS
from relay.sources.mapping.rules import FILLED_BY_KIND, MODELS, OWN_KEYS
from relay.sources.presets import preset_names
from relay.sources.tools.testing import EXPECT_KEYS, TEST_KEYS
from relay.stream.decoding.app_event import Track

_DRAFT = "https://json-schema.org/draft/2020-12/schema"
_MAPPED: tuple[type[BaseModel], ...] = (SourceSettings, ShadowSettings)
_LISTED = (*_MAPPED, DestinationSettings)
"""Elements of lists: what they need must stand in the file, the environment cannot give it."""

_PARTS = {
    "settings": "Values that whoever uses the mapping may set, with their defaults.",
    "tables": "Maps from texts to values, for `lookup` and `in`.",
    "events": "An expression that gives a list; each entry becomes an event of its own.",
    "all": "Fields of every rule that does not have them itself.",
    "rules": "The first whose `when` holds decides.",
    "otherwise": "What becomes of documents that no rule is for.",
    "no_user": "What becomes of events of nobody.",
    "tests": "Records and what must become of them: relay map test.",
}
_VALUE = {
    "description": "A constant, an expression (begins with . ^ @ or a quote), a template in "
    "quotes, or a map or list of values (docs/MAPPING.md)."
}
_KINDS = {
    "track": "The name of the event.",
    "profile": "The properties of the user.",
    "choice": "The processing id.",
    "segment": "`add` or `remove`.",
    "native": "A part of the document that is an event already.",
    "skip": "The code to count under.",
}


def settings_schema() -> dict[str, Any]:
    """The schema of a settings file."""
    schema = Settings.model_json_schema()
    schema.pop("title")
    for model in _models(Settings):
        _eased(schema["$defs"][model.__name__], model)
    _eased(schema, Settings)
    schema["properties"]["mappings"]["additionalProperties"] = {"$ref": "#/$defs/Mapping"}
    for model in _MAPPED:
        preset = {"enum": preset_names()}
        schema["$defs"][model.__name__]["properties"]["preset"]["anyOf"] = [
            preset,
            {"type": "null"},
        ]
    schema["$defs"] |= _mapping_defs()
    head = {
        "$schema": _DRAFT,
        "$id": "urn:mics-relay:schema:relay.v1",
        "title": "Settings of relay (relay.yaml)",
    }
    return {**head, **schema}


def mapping_schema() -> dict[str, Any]:
    """The schema of a mapping in a file of its own."""
    defs = _mapping_defs()
    head = {"$schema": _DRAFT, "$id": "urn:mics-relay:schema:mapping.v1", "title": "A mapping"}
    return {**head, **defs.pop("Mapping"), "$defs": defs}


EDITOR_SCHEMAS = {"relay.v1": settings_schema, "mapping.v1": mapping_schema}


def _models(model: type[BaseModel]) -> Iterator[type[BaseModel]]:
    """Every model below one, each once."""
    seen: dict[type[BaseModel], None] = {}
    waiting = [model]
    while waiting:
        for field in waiting.pop().model_fields.values():
            inner = [*models_in(field.annotation), *_elements(field.annotation)]
            for found in inner:
                if found not in seen:
                    seen[found] = None
                    waiting.append(found)
    yield from seen


def _elements(annotation: Any) -> list[type[BaseModel]]:
    arguments = getattr(annotation, "__args__", ())
    return [found for argument in arguments for found in models_in(argument)]


def _eased(schema: dict[str, Any], model: type[BaseModel]) -> None:
    """As a file may be, where the rest may come from the environment.

    - what is required may be given there; not so in elements of lists;
    - a group may be a header with all its lines commented out;
    - a secret may be a file, `…_file`;
    - a text may be written as a number.
    """
    if model not in _LISTED:
        schema.pop("required", None)
    schema.pop("title", None)
    properties = schema["properties"]
    for name, field in model.model_fields.items():
        given = properties[name]
        given.pop("title", None)
        if models_in(field.annotation):
            group = {
                key: given.pop(key) for key in ("$ref", "anyOf", "allOf", "oneOf") if key in given
            }
            given.pop("default", None)
            properties[name] = {**given, "anyOf": [group, {"type": "null"}]}
        if is_secret(field.annotation):
            given.pop("default", None)
            twin = f"{name}_file"
            if twin not in model.model_fields:
                text = f"A file that holds it. {field.description or ''}".strip()
                properties[twin] = {"type": ["string", "null"], "description": text}
        _numbers_too(properties[name])


def _numbers_too(schema: Any) -> None:
    if isinstance(schema, list):
        for inner in schema:
            _numbers_too(inner)
    elif isinstance(schema, dict):
        if schema.get("type") == "string" and "enum" not in schema:
            schema["type"] = ["string", "number"]
        for key in ("anyOf", "items", "additionalProperties", "oneOf"):
            _numbers_too(schema.get(key))


# --- mappings -------------------------------------------------------------------------------


def _mapping_defs() -> dict[str, Any]:
    texts = {"type": ["string", "boolean"]}
    choice = {"enum": ["dead_letter", "skip"]}
    kinds: dict[str, Any] = {
        "settings": {"type": "object"},
        "tables": {"type": "object", "additionalProperties": {"type": "object"}},
        "events": {"type": "string"},
        "all": {"type": "object", "properties": _fields("native"), "additionalProperties": False},
        "rules": {"type": "array", "minItems": 1, "items": {"$ref": "#/$defs/Rule"}},
        "otherwise": choice,
        "no_user": choice,
        "tests": {"type": "array", "items": {"$ref": "#/$defs/MappingTest"}},
    }
    rules = [_rule(kind, texts) for kind in _KINDS]
    return {
        "Mapping": {
            "type": "object",
            "properties": {key: {"description": _PARTS[key], **kinds[key]} for key in KEYS},
            "required": ["rules"],
            "additionalProperties": False,
        },
        "Rule": {
            "type": "object",
            "properties": {key: {"description": text} for key, text in _KINDS.items()},
            "oneOf": rules,
        },
        "Value": _VALUE,
        "MappingTest": _test(),
        "Expected": _expected(),
    }


def _fields(kind: str) -> dict[str, Any]:
    """The fields of the input format, in its words; their values are values of a mapping."""
    models = list(MODELS.values()) if kind == "native" else [MODELS[kind]]
    if kind == "native":
        models = [*models, Track]
    filled = FILLED_BY_KIND.get(kind, "")
    return {
        name: {"$ref": "#/$defs/Value", "description": field.description or ""}
        for model in models
        for name, field in model.model_fields.items()
        if name not in {"type", filled}
    }


def _rule(kind: str, texts: dict[str, Any]) -> dict[str, Any]:
    own: dict[str, Any] = {
        "name": {"type": ["string", "number"], "description": "Stands in messages and tests."},
        "when": {**texts, "description": "The rule applies where this condition holds."},
        "reason": {"description": "Why it is skipped."},
    }
    made = {kind: {"description": _KINDS[kind]}}
    if kind == "skip":
        properties = {**own, **made}
    else:
        properties = {**{key: own[key] for key in OWN_KEYS - {"reason"}}, **_fields(kind), **made}
    return {
        "properties": dict(sorted(properties.items())),
        "required": [kind],
        "additionalProperties": False,
    }


def _test() -> dict[str, Any]:
    about = {
        "name": {"description": "What it shows."},
        "record": {"description": "The document."},
        "key": {"type": ["string", "null"], "description": "The key of the Kafka record."},
        "headers": {"type": "object", "additionalProperties": {"type": "string"}},
        "topic": {"type": "string"},
        "timestamp": {"type": "integer", "description": "Of the Kafka record, in epoch ms."},
        "expect": {"$ref": "#/$defs/Expected"},
    }
    return {
        "type": "object",
        "properties": {key: about[key] for key in TEST_KEYS},
        "required": ["record", "expect"],
        "additionalProperties": False,
    }


def _expected() -> dict[str, Any]:
    one: dict[str, Any] = {key: {} for key in EXPECT_KEYS}
    events = {"type": "array", "items": {"$ref": "#/$defs/Expected"}}
    return {
        "type": "object",
        "minProperties": 1,
        "properties": {**one, "events": {"description": "One for each event.", **events}},
        "additionalProperties": False,
    }
