import asyncio
import sys

import pytest

from relay.errors import SettingsError
from relay.model import Undecodable
from relay.sources.formats import FormatName, FormatPolicy, build_format
from relay.sources.formats.schemas import SchemaCache
from relay.sources.registry.facts import RegistryAvailable, RegistryUnavailable
from tests.support.registry_stand_in import NOT_THERE, registry_stand_in, schema_answer
from tests.support.schemas import Said, fetching, record

STRING = schema_answer(schema='{"type": "record", "name": "R", "fields": []}')
VALUE = record(b"\0\0\0\0\7")


async def test_several_that_need_one_schema_ask_for_it_once():
    asked = []

    def respond(path, headers):
        asked.append(path)
        return STRING

    with registry_stand_in(respond) as url:
        async with fetching(url, FormatName.AVRO) as decoder:
            async with asyncio.TaskGroup() as group:
                tasks = [group.create_task(decoder.decode(VALUE)) for _ in range(5)]
            assert {task.result()[0]["_schema"] for task in tasks} == {"R"}
    assert asked == ["/schemas/ids/7"]


async def test_an_outage_is_said_once_and_its_end_with_how_long_it_was():
    answers = [(503, {}, b"")] * 5 + [STRING]
    said = Said()
    with registry_stand_in(lambda *_: answers.pop(0)) as url:
        async with fetching(url, FormatName.AVRO, said=said) as decoder:
            assert await decoder.decode(VALUE) == ({"_schema": "R"},)
            assert decoder.loader.problem is None
    began, ended = said
    assert began == RegistryUnavailable(reason="it answered 503", refused=False)
    assert isinstance(ended, RegistryAvailable)


async def test_asking_can_be_broken_off_and_begun_again():
    answers = [(500, {}, b"")]
    with registry_stand_in(lambda *_: answers[0]) as url:
        said = Said()
        async with fetching(url, FormatName.AVRO, said=said) as decoder:
            async with asyncio.TaskGroup() as group:
                asking = group.create_task(decoder.decode(VALUE))
                await said.first.wait()
                asking.cancel()
            answers[0] = STRING
            assert await decoder.decode(VALUE) == ({"_schema": "R"},)


async def test_a_schema_that_cannot_be_used_is_one_reason_for_every_record_of_it():
    bad = schema_answer(schema='{"type": "record", "name": "R"}')
    with registry_stand_in(lambda *_: bad) as url:
        async with fetching(url, FormatName.AVRO) as decoder:
            for _ in range(3):
                assert await decoder.decode(VALUE) == Undecodable(
                    "schema_unusable", "schema 7 is not an Avro schema (KeyError)"
                )
            assert decoder.fetched == [7]


async def test_an_unknown_schema_is_asked_for_again_some_time_later():
    answers = [NOT_THERE]
    with registry_stand_in(lambda *_: answers[0]) as url:
        options = {"unknown_wait_s": 0, "unknown_for_s": 0.05}
        async with fetching(url, FormatName.AVRO, **options) as decoder:
            assert (await decoder.decode(VALUE)).code == "schema_unknown"
            answers[0] = STRING
            async with asyncio.timeout(30):
                while decoder.loader.schemas.get(7) is not None:  # noqa: ASYNC110 - no event tells
                    await asyncio.sleep(0.01)
            assert await decoder.decode(VALUE) == ({"_schema": "R"},)


@pytest.mark.parametrize(
    ("name", "package", "command"),
    [
        (FormatName.AVRO, "fastavro", ".[avro]"),
        (FormatName.PROTOBUF, "grpc_tools", ".[protobuf]"),
    ],
)
async def test_a_package_that_is_missing_is_a_problem_and_no_dead_letter(
    monkeypatch, name, package, command
):
    monkeypatch.setitem(sys.modules, package, None)  # what find_spec takes for "not installed"
    with pytest.raises(SettingsError) as caught:
        build_format(name, FormatPolicy(), SchemaCache())
    assert f"pip install '{command}'" in str(caught.value)
    kind = schema_answer(schema="x", schemaType=name.upper())
    said = Said()
    with registry_stand_in(lambda *_: kind) as url:
        async with fetching(url, FormatName.SCHEMA_REGISTRY, said=said) as decoder:
            async with asyncio.TaskGroup() as group:
                waiting = group.create_task(decoder.decode(VALUE))
                await said.first.wait()
                assert f"pip install '{command}'" in decoder.loader.problem
                waiting.cancel()
            assert decoder.loader.problem is None
    assert said[0].refused


async def test_one_schema_that_cannot_be_had_is_a_problem_until_it_is_there():
    """Others that are found meanwhile do not make it disappear and come again."""
    answers = {"/schemas/ids/7": (503, {}, b""), "/schemas/ids/8": STRING}
    said = Said()
    with registry_stand_in(lambda path, _: answers[path]) as url:
        async with fetching(url, FormatName.AVRO, said=said) as decoder:
            async with asyncio.TaskGroup() as group:
                group.create_task(decoder.loader.resolve(7))
                await said.first.wait()
                await decoder.loader.resolve(8)
                assert decoder.loader.problem == "it answered 503"
                answers["/schemas/ids/7"] = STRING
            assert decoder.loader.problem is None
    assert [type(fact) for fact in said] == [RegistryUnavailable, RegistryAvailable]
