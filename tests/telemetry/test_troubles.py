"""/status → what is wrong, the worst first."""

import re

import pytest

from relay.telemetry.troubles import troubles
from scripts.generate import ROOT

KAFKA = {"trouble": None, "reason": None, "for_s": None, "held_back": {}}
WAITING = {"a-0": {"offset": 7, "schema": 5, "for_s": 400.0}}
FLOWING = {"state": "flowing", "reason": "", "for_s": 9.0}


def road(**more):
    return {
        "ledger": {"balanced": True},
        "kafka": KAFKA,
        "dead_letter_topic": {"blocked": None, "for_s": None},
        "commits": {"blocked": None, "for_s": None},
        "schema_registry": {"problem": None, "waiting": {}},
        "destination": FLOWING,
        "partitions": {},
        **more,
    }


def partition(for_s=None, map_fill=0.0):
    pin = None if for_s is None else {"offset": 1, "for_s": for_s}
    return {"pinned_by": pin, "map_fill": map_fill}


def test_where_nothing_is_wrong_there_is_no_trouble():
    assert troubles(road(partitions={"a-0": partition(10.0, 0.1)})) == []


@pytest.mark.parametrize(
    ("said", "level", "what", "runbook"),
    [
        (
            {"destination": {"state": "held", "reason": "401", "for_s": 3.0}},
            "error",
            "tracking API is held",
            "relayheld",
        ),
        (
            {"destination": {"state": "down", "reason": "503", "for_s": 3.0}},
            "error",
            "tracking API is down",
            "relaydestinationdown",
        ),
        (
            {"destination": {"state": "paused", "reason": "429", "for_s": 3.0}},
            "warning",
            "tracking API asked for a pause",
            "relaylaggrows",
        ),
        (
            {"destinations": {"shop": {"state": "held", "reason": "403", "for_s": 1.0}}},
            "error",
            "shop is held",
            "relayheld",
        ),
        (
            {"destination": {**FLOWING, "lateness_s": {"p50": 1.0, "p99": 600.0}}},
            "warning",
            "tracking API: one delivery in a hundred came more than 10 minutes late",
            "relaylate",
        ),
        (
            {"kafka": {**KAFKA, "trouble": "topic_missing", "reason": "r", "for_s": 1.0}},
            "error",
            "Kafka: topic missing",
            "relaykafkatrouble",
        ),
        (
            {"kafka": {**KAFKA, "held_back": {"a-0": {"records": 1200, "for_s": 70.0}}}},
            "warning",
            "an open transaction holds 1,200 records back",
            "relaytransactionhangs",
        ),
        (
            {"dead_letter_topic": {"blocked": "not authorised", "for_s": 3.0}},
            "error",
            "dead letters cannot be written",
            "relaydeadlettertopicunavailable",
        ),
        (
            {"commits": {"blocked": "not authorised", "for_s": 3.0}},
            "warning",
            "Kafka takes no commits: a restart would send again what was sent since",
            "relaycommitsfail",
        ),
        (
            {
                "schema_registry": {"problem": "no answer", "waiting": WAITING},
                "partitions": {"a-0": {**partition(map_fill=0.0), "pinned_by": WAITING["a-0"]}},
            },
            "error",
            "1 partition waits for a schema",
            "relayschemamissing",
        ),
        (
            {"schema_registry": {"problem": None, "waiting": {**WAITING, "a-1": WAITING["a-0"]}}},
            "warning",
            "2 partitions wait for a schema that the registry does not know",
            "relayschemamissing",
        ),
        (
            {"ledger": {"balanced": False}},
            "error",
            "the ledger is not balanced",
            "relayledgerunbalanced",
        ),
        (
            {"partitions": {f"a-{n}": partition(400.0) for n in range(5)}},
            "warning",
            "one record has kept the commit of 5 partitions from moving",
            "relaypartitionstuck",
        ),
        (
            {"partitions": {"a-0": partition(map_fill=0.9)}},
            "warning",
            "the commit's metadata is nearly full in 1 partition",
            "relayoffsetmapfull",
        ),
        ({"failed": "no broker"}, "error", "the road failed and starts again", None),
    ],
)
def test_each_trouble_has_a_level_and_its_entry_in_the_runbook(said, level, what, runbook):
    (one,) = troubles(road(**said))
    assert (one["level"], one["what"], one["runbook"]) == (level, what, runbook)


def test_the_worst_comes_first_and_the_other_road_is_looked_at_too():
    segments = {**road(), "held": "403 token lacks the right", "held_for_s": 3.0}
    del segments["destination"]
    late = {**FLOWING, "lateness_s": {"p99": 600.0}}
    found = troubles({**road(destination=late), "segments": segments})
    assert [one["runbook"] for one in found] == ["relaysegmentsheld", "relaylate"]


def test_what_nothing_else_explains_is_told_as_readyz_tells_it():
    running = road(lifecycle="running")
    (one,) = troubles(running, "stream: schema_registry: it does not answer")
    assert (one["level"], one["reason"]) == ("error", "stream: schema_registry: it does not answer")
    held = road(lifecycle="running", destination={"state": "held", "reason": "401", "for_s": 3.0})
    assert len(troubles(held, "stream: held: 401")) == 1
    assert troubles(road(lifecycle="draining"), "stream: draining") == []


def test_every_entry_that_is_named_is_in_the_runbook():
    source = (ROOT / "relay/telemetry/troubles.py").read_text(encoding="utf-8")
    page = (ROOT / "relay/telemetry/page/runbook.html").read_text(encoding="utf-8")
    named = set(re.findall(r'"(relay[a-z]+)"', source))
    assert named
    assert named <= set(re.findall(r'id="([a-z-]+)"', page))
