""".proto text → file descriptors, by the Protobuf compiler in a process of its own.

In a process because the compiler writes what it thinks to the standard error of its process, and
so that a text which breaks it breaks nothing here. It runs once for each schema.
"""

import asyncio
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path, PurePosixPath

from google.protobuf import descriptor_pb2

from relay.sources.formats.protobuf import FileProto, file_proto
from relay.sources.formats.schemas import SchemaUnusable
from relay.sources.registry.errors import CompilerFailed

MAIN = "relay_main.proto"
_SECONDS_MAX = 30.0  # it compiles in tens of milliseconds as a rule

# What Confluent's own tools import without registering it: as far as it says how bytes are read.
_BUILT_IN = {
    "confluent/type/decimal.proto": """
syntax = "proto3";
package confluent.type;
message Decimal { bytes value = 1; uint32 precision = 2; int32 scale = 3; }
""",
    "confluent/meta.proto": """
syntax = "proto3";
package confluent;
import "google/protobuf/descriptor.proto";
message Meta { string doc = 1; map<string, string> params = 2; repeated string tags = 3; }
extend google.protobuf.FileOptions { Meta file_meta = 1088; }
extend google.protobuf.MessageOptions { Meta message_meta = 1088; }
extend google.protobuf.FieldOptions { Meta field_meta = 1088; }
extend google.protobuf.EnumOptions { Meta enum_meta = 1088; }
extend google.protobuf.EnumValueOptions { Meta enum_value_meta = 1088; }
""",
}


async def descriptors(
    text: str, references: Mapping[str, str]
) -> tuple[FileProto, list[FileProto]]:
    """The descriptor of a schema, and those of what it imports.

    Raises SchemaUnusable for a text that is none, CompilerFailed where there is no telling.
    """
    ready = {name: file_proto(each) for name, each in references.items()}
    imports = []
    for name, descriptor in ready.items():
        if descriptor is not None:
            descriptor.name = name  # what the importing schema calls it
            imports.append(descriptor)
    main = file_proto(text)
    texts = {name: references[name] for name, each in ready.items() if each is None}
    if main is not None:
        needed = {name for each in (main, *imports) for name in each.dependency}
        texts |= {name: each for name, each in _BUILT_IN.items() if name in needed - ready.keys()}
        if texts:
            imports += await _compile(texts, imports, list(texts))
        return main, imports
    texts = _BUILT_IN | texts | {MAIN: text}
    files = await _compile(texts, imports, [MAIN])
    by_name = {each.name: each for each in files}
    return by_name.pop(MAIN), list(by_name.values())


async def _compile(
    texts: Mapping[str, str], imports: list[FileProto], wanted: list[str]
) -> list[FileProto]:
    for name in texts:
        path = PurePosixPath(name)
        if path.is_absolute() or ".." in path.parts or "\0" in name or not path.name:
            raise SchemaUnusable("has a reference whose name leads out of its folder")
    try:
        with tempfile.TemporaryDirectory(prefix="relay-proto-") as work:
            home = Path(work)
            made = home / "made.pb"
            command = _write(home, texts, imports)
            process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", "grpc_tools.protoc", *command),
                *("--include_imports", f"--descriptor_set_out={made}", *wanted),
                stdin=asyncio.subprocess.DEVNULL,
                stdout=asyncio.subprocess.DEVNULL,
                stderr=asyncio.subprocess.DEVNULL,
            )
            try:
                status = await asyncio.wait_for(process.wait(), _SECONDS_MAX)
            finally:
                if process.returncode is None:
                    process.kill()
            if status != 0:
                raise SchemaUnusable("is not a valid Protobuf schema")
            found = descriptor_pb2.FileDescriptorSet.FromString(made.read_bytes())
    except TimeoutError:
        raise SchemaUnusable(f"took the Protobuf compiler more than {_SECONDS_MAX:g} s") from None
    except OSError as error:
        why = error.strerror or type(error).__name__
        raise CompilerFailed(f"the Protobuf compiler cannot run: {why}") from None
    return list(found.file)


def _write(home: Path, texts: Mapping[str, str], imports: list[FileProto]) -> list[str]:
    sources = home / "sources"
    for name, text in texts.items():
        path = sources / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    options = [f"--proto_path={sources}"]
    if imports:
        given = home / "given.pb"
        given.write_bytes(descriptor_pb2.FileDescriptorSet(file=imports).SerializeToString())
        options.append(f"--descriptor_set_in={given}")
    return options
