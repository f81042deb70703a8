"""The JSON Schema of the input format, generated from the models: `relay schema` prints it."""

from collections.abc import Mapping
from typing import Any

from pydantic.json_schema import GenerateJsonSchema

from relay.stream.decoding.decode import APP_EVENT


class WithoutTitles(GenerateJsonSchema):
    """A field has a name and a description; a title would only repeat the name."""

    def field_title_should_be_set(self, schema: Any) -> bool:  # noqa: ARG002 - overridden
        """A field has a name."""
        return False


def versioned(name: str, title: str, body: Mapping[str, Any]) -> dict[str, Any]:
    """The document that stands in `schemas/` under this name, as version 1."""
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": f"urn:mics-relay:schema:{name}.v1",
        **body,
        "title": f"{title}, version 1",
    }


def app_event_schema() -> dict[str, Any]:
    """The document that stands in `schemas/app-event.v1.json`."""
    text = "A record's value on a topic that the relay reads: a JSON object in UTF-8."
    body = APP_EVENT.json_schema(mode="validation", schema_generator=WithoutTitles)
    return versioned("app-event", "App event", {"description": text, **body})
