import json

import pytest

from relay.model import Undecodable
from relay.sources.formats import FormatName, FormatPolicy, build_format
from relay.sources.formats.snowplow_tsv import _READERS
from tests.support.schemas import record

DECODE = build_format(FormatName.SNOWPLOW_TSV, FormatPolicy())
NAMES = [name for name, _ in _READERS]
SHOP = "iglu:com.acme.shop-fr/itemView/jsonschema/2-0-1"


def decode(line_end="", **columns):
    line = "\t".join(columns.get(name, "") for name in NAMES) + line_end
    return DECODE(record(line.encode()))


def test_an_enriched_event_has_131_columns_in_the_order_of_snowplows_table():
    assert len(NAMES) == len(set(NAMES)) == 131
    known = {0: "app_id", 6: "event_id", 12: "user_id", 52: "contexts", 58: "unstruct_event",
             122: "derived_contexts", 124: "derived_tstamp", 130: "true_tstamp"}  # fmt: skip
    assert {index: NAMES[index] for index in known} == known


def test_the_document_is_that_of_snowplows_own_sdks():
    contexts = [{"schema": SHOP, "data": {"sku": "a"}}, {"schema": SHOP, "data": {"sku": "b"}}]
    (event,) = decode(
        "\n",
        app_id="shop",
        txn_id="41828",
        geo_latitude="48.85",
        br_cookies="1",
        dvce_ismobile="0",
        page_title="Été",
        se_value="31",
        derived_tstamp="2026-11-22 09:30:00.300",
        contexts=json.dumps({"schema": "iglu:x", "data": contexts}),
        derived_contexts=json.dumps({"schema": "iglu:x", "data": [contexts[0]]}),
        unstruct_event=json.dumps({"schema": "iglu:x", "data": contexts[0]}),
    )
    assert event == {
        "app_id": "shop",
        "txn_id": 41828,
        "geo_latitude": 48.85,
        "br_cookies": True,
        "dvce_ismobile": False,
        "page_title": "Été",
        "se_value": "31",
        "derived_tstamp": "2026-11-22T09:30:00.300Z",
        "contexts_com_acme_shop_fr_item_view_2": [{"sku": "a"}, {"sku": "b"}, {"sku": "a"}],
        "unstruct_event_com_acme_shop_fr_item_view_2": {"sku": "a"},
    }


@pytest.mark.parametrize(
    ("columns", "reason"),
    [
        ({"txn_id": "4.5"}, "txn_id: must be a whole number"),
        ({"txn_id": "9" * 5000}, "txn_id: must be a whole number"),
        ({"txn_id": "٤"}, "txn_id: must be a whole number"),
        ({"tr_total": "1,5"}, "tr_total: must be a number"),
        ({"tr_total": "nan"}, "tr_total: must be a number"),
        ({"br_cookies": "true"}, "br_cookies: must be 1 or 0"),
        ({"true_tstamp": "2026-11-22T09:30:00Z"},
         "true_tstamp: must be a time (2026-01-31 09:30:00.123, UTC)"),
        ({"contexts": "{"}, "contexts: must be JSON that describes itself (schema, data)"),
        ({"contexts": '{"data": {}}'}, "contexts: must hold a list of contexts"),
        ({"contexts": '{"data": [{"schema": "x", "data": {}}]}'},
         "contexts: must name its schema (iglu:vendor/name/format/1-0-0)"),
        ({"unstruct_event": '{"data": 7}'},
         "unstruct_event: must name its schema (iglu:vendor/name/format/1-0-0)"),
    ],
)  # fmt: skip
def test_a_column_that_does_not_hold_what_it_should_is_named_without_its_content(columns, reason):
    assert decode(**columns) == Undecodable("invalid_tsv", reason)


@pytest.mark.parametrize(
    ("value", "code", "reason"),
    [
        (b"a\tb", "invalid_tsv", "2 columns, where an enriched event has 131"),
        (b'{"schema": "iglu:bad_row"}', "invalid_tsv",
         "1 columns, where an enriched event has 131 (bad rows are JSON and no events)"),
        (b"\xff\t", "not_utf8", "not UTF-8 from byte 0 on"),
    ],
)  # fmt: skip
def test_what_is_no_enriched_event_says_why(value, code, reason):
    assert DECODE(record(value)) == Undecodable(code, reason)
