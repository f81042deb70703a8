"""What `relay check` says of the schema registry: reachable, lets us in, knows the subjects."""

import json

import pytest

from relay.checks.finding import Level
from relay.checks.registry import check_registry
from relay.errors import ExitStatus
from relay.settings import load
from tests.support.registry_stand_in import registry_stand_in, schema_answer

NO_SUBJECT = (404, {}, b'{"error_code": 40401, "message": "Subject not found"}')
STRING = '{"type": "string"}'


async def findings(tmp_path, url, *formats, **more):
    """Of topics t0, t1, … in these formats."""
    rule = {"track": "e", "id": ".id", "ts": ".at", "user": {"accounts": [{"id": ".who"}]}}
    given = {
        "kafka": {"bootstrap_servers": "localhost:1", "topics": ["t0", "t1", "plain"]},
        "sources": [
            {"topics": [f"t{number}*"], "format": name, "mapping": "m"}
            for number, name in enumerate(formats)
        ],
        "mappings": {"m": {"rules": [rule]}},
        "schema_registry": {"urls": [url], **more},
    }
    (tmp_path / "relay.yaml").write_text(json.dumps(given))
    settings = load(tmp_path / "relay.yaml", {}, needs=["kafka", "sources", "mappings"])
    return [finding async for finding in check_registry(settings)]


def answering(answers, asked=None):
    def respond(path, headers):
        if asked is not None:
            asked.append(path)
        subject = path.split("/")[2]
        return answers.get(subject, NO_SUBJECT)

    return respond


async def test_each_topic_has_the_kind_that_its_source_reads(tmp_path):
    asked = []
    answers = {
        "t0-value": schema_answer(schema=STRING),
        "t1-value": schema_answer(schema="x", schemaType="PROTOBUF"),
    }
    with registry_stand_in(answering(answers, asked)) as url:
        first, *of_topics = await findings(tmp_path, url, "avro", "schema_registry")
    assert first.text == f"{url}: answers and lets us in"
    assert [finding.text for finding in of_topics] == [
        "t0-value is AVRO, which avro reads",
        "t1-value is PROTOBUF, which schema_registry reads",
    ]
    assert {finding.level for finding in (first, *of_topics)} == {Level.OK}
    assert "/subjects/plain-value/versions/latest" not in asked


async def test_another_kind_than_the_format_is_a_failure_that_names_the_format(tmp_path):
    answers = {"t0-value": schema_answer(schema="x", schemaType="JSON")}
    with registry_stand_in(answering(answers)) as url:
        _, found = await findings(tmp_path, url, "avro")
    assert (found.level, found.status) == (Level.FAIL, ExitStatus.SETTINGS)
    assert found.text == "t0-value is JSON, and the source of t0 has format avro"
    assert "format: json_schema" in found.hint


async def test_a_subject_that_is_not_there_is_a_warning(tmp_path):
    with registry_stand_in(answering({})) as url:
        _, found = await findings(tmp_path, url, "avro")
    assert (found.level, found.text) == (Level.WARN, "there is no subject t0-value")


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        ((401, {}, b""), "check its credentials"),
        ((404, {}, b"<html>"), "is no registry: check its address"),
        ((503, {}, b""), "it answered 503"),
        ((200, {}, b"[]"), "check its address"),
    ],
)
async def test_a_registry_that_cannot_be_asked_is_a_failure_with_what_to_do(tmp_path, answer, said):
    with registry_stand_in(lambda *_: answer) as url:
        (found,) = await findings(tmp_path, url, "avro", password="s3cret", username="u")
    assert (found.level, found.status) == (Level.FAIL, ExitStatus.DESTINATION)
    assert said in found.text
    assert "schema_registry" in found.hint
    assert "s3cret" not in repr(found)


async def test_a_registry_that_is_away_is_a_failure(tmp_path):
    (found,) = await findings(tmp_path, "http://127.0.0.1:1", "avro")
    assert found.level is Level.FAIL
    assert "no answer (ConnectError)" in found.text


async def test_without_a_registry_nothing_is_asked(tmp_path):
    (tmp_path / "relay.yaml").write_text("{}")
    settings = load(tmp_path / "relay.yaml", {}, needs=["sources"])
    assert [finding async for finding in check_registry(settings)] == []
