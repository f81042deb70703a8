"""The JSON Schema of the input format, generated from the models: `relay schema` prints it."""

from typing import Any

from pydantic.json_schema import GenerateJsonSchema

from relay.stream.decoding.decode import APP_EVENT


class _WithoutTitles(GenerateJsonSchema):
    """A field has a name and a description; a title would only repeat the name."""

    def field_title_should_be_set(self, schema: Any) -> bool:  # noqa: ARG002 - overridden
        return False


def app_event_schema() -> dict[str, Any]:
    """The document that stands in `schemas/app-event.v1.json`."""
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": "urn:mics-relay:schema:app-event.v1",
        "title": "App event, version 1",
        "description": "A record's value on a topic that the relay reads: a JSON object in UTF-8.",
        **APP_EVENT.json_schema(mode="validation", schema_generator=_WithoutTitles),
    }
