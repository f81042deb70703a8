"""A schema's text → a reader of values. Packages are imported when a schema needs them."""

from relay.sources.formats import require_extra
from relay.sources.formats.json_schema import compile_json
from relay.sources.formats.schemas import Schema, SchemaKind
from relay.sources.registry.client import SchemaText
from relay.sources.registry.errors import CompilerFailed

__all__ = ["CompilerFailed", "compile_schema"]


async def compile_schema(found: SchemaText) -> Schema:
    """The schema, ready to read with.

    Raises SchemaUnusable, and SettingsError where the package for its kind is not installed: that
    is no record's fault.
    """
    require_extra(found.kind)
    match found.kind:
        case SchemaKind.JSON:
            return Schema(found.kind, compile_json())
        case SchemaKind.AVRO:
            from relay.sources.formats.avro import compile_avro  # noqa: PLC0415 - an extra

            references = [text for _, text in found.references]
            return Schema(found.kind, compile_avro(found.text, references))
        case SchemaKind.PROTOBUF:
            from relay.sources.formats.protobuf import compile_protobuf  # noqa: PLC0415 - an extra
            from relay.sources.registry.protoc import descriptors  # noqa: PLC0415 - an extra

            file, imports = await descriptors(found.text, dict(found.references))
            return Schema(found.kind, compile_protobuf(file, imports))
