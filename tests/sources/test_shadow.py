"""A second mapping beside the one that counts: what is told of it, and that it changes nothing."""

import json
import random

import pytest

from relay.errors import SettingsError
from relay.model import Partition, Record
from relay.road.status import ReportPolicy
from relay.settings import load
from relay.settings.topics import sources_of
from relay.sources.interpret import source_interpreter
from relay.sources.shadow import Shadow, beside
from relay.stream.decoding import DecodingPolicy
from relay.stream.engine import Engine
from relay.stream.facts import ShadowDiffers
from relay.stream.interpret import InterpretPolicy
from relay.stream.mapping import MappingPolicy
from relay.stream.policy import EnginePolicy
from relay.stream.status import Reporter

NOW_MS = 1_767_225_600_000
SETTINGS = """
sources:
  - topics: [shop]
    mapping: now
    SHADOW
mappings:
  now:
    all: {id: .no, ts: .at, user: {accounts: [{id: .who, compartment: "1"}]}}
    rules:
      - {when: .kind == "noise", skip: noise}
      - {track: seen, properties: {price: .cents}}
  next:
    all: {id: .no, ts: .at, user: {accounts: [{id: .who, compartment: "1"}]}}
    rules:
      - {track: seen, properties: {price: .cents | divide(100)}}
"""


def settings(tmp_path, shadow):
    path = tmp_path / "relay.yaml"
    path.write_text(SETTINGS.replace("SHADOW", f"shadow: {shadow}" if shadow else ""), "utf-8")
    return load(path, {}, needs=["sources", "mappings", "decoding"])


def made(tmp_path, shadow):
    given = settings(tmp_path, shadow)
    sources = sources_of(given.sources, given.mappings, given.decoding)
    interpret = source_interpreter(sources, InterpretPolicy(DecodingPolicy(), MappingPolicy()))
    return interpret, sources[0].shadow


def record(offset, **more):
    value = {"no": str(offset), "at": NOW_MS, "who": "jane-doe", **more}
    return Record("shop", 0, offset, NOW_MS, None, json.dumps(value).encode(), (), 1)


GIVEN = [record(0, cents=1950), record(1), record(2, kind="noise"), record(3, cents="many")]


def test_what_is_sent_is_the_same_with_and_without_it(tmp_path):
    plain, none = made(tmp_path, None)
    assert none is None
    beside_it, shadow = made(tmp_path, "{mapping: next}")
    assert [plain(one, NOW_MS) for one in GIVEN] == [beside_it(one, NOW_MS) for one in GIVEN]
    assert (shadow.documents, shadow.differing) == (4, 3)
    assert shadow.differences == {"properties": 1, "fate": 2}


def test_of_so_many_documents_one_is_mapped_by_both(tmp_path):
    interpret, shadow = made(tmp_path, "{mapping: next, one_in: 3}")
    for offset in range(10):
        interpret(record(offset, cents=100), NOW_MS)
    assert (shadow.documents, shadow.differing) == (3, 3)


def test_a_function_that_fails_or_changes_what_it_gets_changes_nothing_that_is_sent():
    def mapping(document, _record):
        return [document]

    def spoils(document, _record):
        document["list"].clear()
        raise RuntimeError

    shadow = Shadow("shop", spoils, copies=True)
    document = {"list": [1]}
    assert beside(mapping, shadow)(document, record(0)) == [{"list": [1]}]
    assert shadow.differences == {"raised": 1}


@pytest.mark.parametrize(
    ("shadow", "told"),
    [
        ("{mapping: nxt}", "relay.yaml:5: sources[0].shadow.mapping: mappings has no such name"),
        ("{mapping: next, preset: segment}", "give one of preset and mapping"),
        ("{preset: segment, settings: {compartmnt: x}}", "compartmnt: is no setting"),
        ("{mapping: next, one_in: 0}", "one_in"),
    ],
)
def test_what_is_wrong_with_it_is_told_before_the_start(tmp_path, shadow, told):
    with pytest.raises(SettingsError) as caught:
        settings(tmp_path, shadow)
    assert told in caught.value.problem


def test_one_line_an_interval_and_counters_by_field_tell_it_without_any_value(tmp_path):
    interpret, shadow = made(tmp_path, "{mapping: next}")
    engine = Engine(EnginePolicy(), interpret, random.Random(1))
    facts = []
    reporter = Reporter(engine, facts.append, ReportPolicy(), shadows=[shadow])
    engine.custody.assign({Partition("shop", 0): None}, 1, 0.0)
    for one in GIVEN:
        interpret(one, NOW_MS)
    reporter.line(10.0)
    reporter.line(20.0)
    told = [fact for fact in facts if isinstance(fact, ShadowDiffers)]
    assert [(f.source, f.differing, f.documents, f.fields) for f in told] == [
        ("shop", 3, 4, "fate 2, properties 1")
    ]
    samples = {
        (s.name, *s.labels.values()): s.value
        for family in reporter.metrics()
        for s in family.samples
        if s.name.startswith("relay_shadow")
    }
    assert samples == {
        ("relay_shadow_documents_total", "shop"): 4,
        ("relay_shadow_differences_total", "shop", "fate"): 2,
        ("relay_shadow_differences_total", "shop", "properties"): 1,
    }
