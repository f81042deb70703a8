"""The records of a topic as `relay map diff` reads them, also by a schema of a registry."""

import json

import pytest

from relay.cli.map.records import topic_reader
from relay.errors import SettingsError
from relay.model import Record
from relay.settings import load
from tests.support.registry_stand_in import NOT_THERE, registry_stand_in, schema_answer

SCHEMA = {"type": "record", "name": "Order", "fields": [{"name": "no", "type": "string"}]}
SOURCES = [
    {"topics": ["orders"], "format": "avro", "preset": "segment"},
    {"topics": ["lines"], "format": "ndjson", "preset": "segment"},
]


def settings(tmp_path, **more):
    path = tmp_path / "relay.yaml"
    path.write_text(json.dumps({"sources": SOURCES, **more}), encoding="utf-8")
    return load(path, {}, needs=["sources", "decoding", "schema_registry"])


def framed(number, body):
    return Record("orders", 0, 0, 0, None, b"\0" + number.to_bytes(4, "big") + body)


async def test_an_avro_record_is_read_by_the_schema_that_its_registry_has(tmp_path):
    asked = []

    def respond(path, _headers):
        asked.append(path)
        known = "/7" in path
        return schema_answer(schema=json.dumps(SCHEMA)) if known else NOT_THERE

    with registry_stand_in(respond) as url:
        given = settings(tmp_path, schema_registry={"urls": [url], "unknown_wait_s": 0.1})
        async with topic_reader(given, "orders") as read:
            for text in ("a", "b"):
                body = bytes([2 * len(text)]) + text.encode()
                (document,) = await read(framed(7, body))
                assert document["no"] == text
            assert await read(framed(7, b"")) == []
    assert len([path for path in asked if "/7" in path]) == 1


async def test_formats_without_a_registry_need_none_and_the_bad_line_is_left_out(tmp_path):
    async with topic_reader(settings(tmp_path), "lines") as read:
        value = b'{"a": 1}\n{bad\n{"a": 2}'
        assert await read(Record("lines", 0, 0, 0, None, value)) == [{"a": 1}, {"a": 2}]


async def test_a_format_that_needs_one_says_so(tmp_path):
    with pytest.raises(SettingsError, match="needs a schema registry"):
        async with topic_reader(settings(tmp_path), "orders"):
            pass
