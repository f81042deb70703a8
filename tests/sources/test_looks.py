"""Which preset a document looks like: the records of the presets' own tests look like theirs."""

import pytest

from relay.sources.looks import looks_like
from relay.sources.presets import preset_names
from tests.sources.presets.test_presets import FILES, name_of, read
from tests.support.app_events import EXAMPLES, example

RECORDS = [
    {"specversion": "1.0", "id": "1", "source": "/s", "type": "t"},
    {"op": "u", "source": {}, "before": None, "after": {}},
    {"schema": {}, "payload": {"op": "u", "source": {}, "after": {}}},
    {"id": 1, "__op": "c", "__deleted": "false"},
    {"events": [{"event_type": "screen_view"}], "mpid": 1},
    {"event_name": "e", "event_timestamp": "1", "event_params": []},
    {"client_id": "1", "events": []},
    {"event_id": "1", "collector_tstamp": "t", "event_vendor": "v"},
    {"type": "track", "messageId": "m", "userId": "u", "rudderId": "r"},
    {"type": "track", "messageId": "m", "userId": "u", "writeKey": "k"},
    {"type": "track", "messageId": "m", "anonymousId": "a"},
]
NAMES = [
    "cloudevents",
    "debezium",
    "debezium",
    "debezium",
    "mparticle",
    "ga4",
    "ga4",
    "snowplow",
    "rudderstack",
    "jitsu",
    "segment",
]


@pytest.mark.parametrize(("document", "name"), list(zip(RECORDS, NAMES, strict=True)))
def test_a_document_looks_like_the_preset_for_it(document, name):
    assert looks_like(document) == name


def test_there_is_a_look_for_each_preset():
    assert set(NAMES) == set(preset_names())


@pytest.mark.parametrize(
    "document", [None, 1, "x", [], {}, {"type": ["track"]}, {"events": {}}, {"payload": 1}]
)
def test_what_is_known_to_nobody_looks_like_nothing(document):
    assert looks_like(document) is None


def test_an_app_event_looks_like_nothing_else():
    assert {looks_like(example(path.stem)) for path in EXAMPLES} == {None}


def test_the_records_of_a_presets_tests_never_look_like_another_product():
    # Segment, RudderStack and Jitsu share one protocol.
    one = {"segment", "rudderstack", "jitsu"}
    for path in FILES:
        name = name_of(path)
        for test in read(path)[1]:
            found = looks_like(test["record"])
            assert found in {None, name} or {found, name} <= one
