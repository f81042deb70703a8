"""Snowplow's enriched event, a line of 131 columns → the JSON that Snowplow's own SDKs make of it.

So one mapping reads both: columns by name, empty ones absent, times with T and Z, and each
self-describing JSON under a key of its own: `contexts_<vendor>_<name>_<model>` is a list,
`unstruct_event_<vendor>_<name>_<model>` an object.
"""

import re
from collections.abc import Callable
from typing import Any

from relay.model import Record, Undecodable
from relay.sources.formats.json_text import parse
from relay.sources.formats.outcome import (
    Decoded,
    Document,
    Format,
    FormatCode,
    FormatPolicy,
    of_values,
)
from relay.stream.decoding.reasons import UndecodableCode

# Names by the order of the columns. After a colon what it is: n a whole number, f a number, b a
# boolean (1 or 0), t a time, c contexts, u an event that describes itself; text without one.
_COLUMNS = """
app_id platform etl_tstamp:t collector_tstamp:t dvce_created_tstamp:t event event_id txn_id:n
name_tracker v_tracker v_collector v_etl user_id user_ipaddress user_fingerprint domain_userid
domain_sessionidx:n network_userid geo_country geo_region geo_city geo_zipcode geo_latitude:f
geo_longitude:f geo_region_name ip_isp ip_organization ip_domain ip_netspeed page_url page_title
page_referrer page_urlscheme page_urlhost page_urlport:n page_urlpath page_urlquery
page_urlfragment refr_urlscheme refr_urlhost refr_urlport:n refr_urlpath refr_urlquery
refr_urlfragment refr_medium refr_source refr_term mkt_medium mkt_source mkt_term mkt_content
mkt_campaign contexts:c se_category se_action se_label se_property se_value unstruct_event:u
tr_orderid tr_affiliation tr_total:f tr_tax:f tr_shipping:f tr_city tr_state tr_country
ti_orderid ti_sku ti_name ti_category ti_price:f ti_quantity:n pp_xoffset_min:n pp_xoffset_max:n
pp_yoffset_min:n pp_yoffset_max:n useragent br_name br_family br_version br_type br_renderengine
br_lang br_features_pdf:b br_features_flash:b br_features_java:b br_features_director:b
br_features_quicktime:b br_features_realplayer:b br_features_windowsmedia:b br_features_gears:b
br_features_silverlight:b br_cookies:b br_colordepth br_viewwidth:n br_viewheight:n os_name
os_family os_manufacturer os_timezone dvce_type dvce_ismobile:b dvce_screenwidth:n
dvce_screenheight:n doc_charset doc_width:n doc_height:n tr_currency tr_total_base:f
tr_tax_base:f tr_shipping_base:f ti_currency ti_price_base:f base_currency geo_timezone
mkt_clickid mkt_network etl_tags dvce_sent_tstamp:t refr_domain_userid refr_dvce_tstamp:t
derived_contexts:c domain_sessionid derived_tstamp:t event_vendor event_name event_format
event_version event_fingerprint true_tstamp:t
"""

_TIME = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2} [0-9]{2}:[0-9]{2}:[0-9]{2}(?:\.[0-9]+)?\Z").match
_WHOLE = re.compile(r"-?[0-9]{1,18}\Z").match
_NUMBER = re.compile(r"-?[0-9]{1,18}(?:\.[0-9]{1,18})?(?:[eE][+-]?[0-9]{1,2})?\Z").match
_SCHEMA = re.compile(
    r"iglu:([A-Za-z0-9_.-]+)/([A-Za-z0-9_-]+)/[A-Za-z0-9_-]+/([0-9]+)-[0-9]+-[0-9]+\Z"
).match
_CAPITAL = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")


class _Unreadable(Exception):
    """A column that does not hold what it should; the text says what it should."""


def snowplow_tsv_format(policy: FormatPolicy) -> Format:
    """An enriched event in a record."""

    def decode(_record: Record, value: bytes) -> Decoded:
        try:
            text = value.decode()
        except UnicodeDecodeError as error:
            return Undecodable(UndecodableCode.NOT_UTF8, f"not UTF-8 from byte {error.start} on")
        columns = text.rstrip("\r\n").split("\t")
        if len(columns) != len(_READERS):
            return Undecodable(
                FormatCode.INVALID_TSV,
                f"{len(columns)} columns, where an enriched event has {len(_READERS)}"
                + (" (bad rows are JSON and no events)" if text.startswith("{") else ""),
            )
        return _document(columns)

    return of_values(policy, decode)


def _document(columns: list[str]) -> Decoded:
    document: Document = {}
    for (name, read), column in zip(_READERS, columns, strict=True):
        if not column:
            continue
        if read is None:
            document[name] = column
            continue
        try:
            read(document, name, column)
        except _Unreadable as error:
            return Undecodable(FormatCode.INVALID_TSV, f"{name}: {error}")
    return (document,)


def _whole(document: Document, name: str, column: str) -> None:
    if _WHOLE(column) is None:
        raise _Unreadable("must be a whole number")
    document[name] = int(column)


def _number(document: Document, name: str, column: str) -> None:
    if _NUMBER(column) is None:
        raise _Unreadable("must be a number")
    document[name] = float(column)


def _boolean(document: Document, name: str, column: str) -> None:
    if column not in ("0", "1"):
        raise _Unreadable("must be 1 or 0")
    document[name] = column == "1"


def _time(document: Document, name: str, column: str) -> None:
    if _TIME(column) is None:
        raise _Unreadable("must be a time (2026-01-31 09:30:00.123, UTC)")
    document[name] = column.replace(" ", "T") + "Z"


def _contexts(document: Document, _name: str, column: str) -> None:
    _, listed = _described(column)
    if not isinstance(listed, list):
        raise _Unreadable("must hold a list of contexts")
    for context in listed:
        key, data = _named("contexts", context)
        document.setdefault(key, []).append(data)


def _event(document: Document, _name: str, column: str) -> None:
    _, inner = _described(column)
    key, data = _named("unstruct_event", inner)
    document[key] = data


def _described(column: str) -> tuple[Any, Any]:
    found = parse(column.encode())
    if not isinstance(found, dict) or "data" not in found:
        raise _Unreadable("must be JSON that describes itself (schema, data)")
    return found.get("schema"), found["data"]


def _named(prefix: str, described: Any) -> tuple[str, Any]:
    """`iglu:com.acme/view/jsonschema/1-0-0` → `contexts_com_acme_view_1`, and the data."""
    schema = described.get("schema") if isinstance(described, dict) else None
    match = _SCHEMA(schema) if isinstance(schema, str) else None
    if match is None or "data" not in described:
        raise _Unreadable("must name its schema (iglu:vendor/name/format/1-0-0)")
    vendor, name, model = match.groups()
    vendor = re.sub(r"[.-]", "_", vendor).lower()
    name = _CAPITAL.sub("_", name).replace("-", "_").lower()
    return f"{prefix}_{vendor}_{name}_{model}", described["data"]


_Read = Callable[[Document, str, str], None]
_KINDS: dict[str, _Read] = {
    "n": _whole,
    "f": _number,
    "b": _boolean,
    "t": _time,
    "c": _contexts,
    "u": _event,
}
_READERS: tuple[tuple[str, _Read | None], ...] = tuple(
    (name, _KINDS.get(kind)) for name, _, kind in (c.partition(":") for c in _COLUMNS.split())
)
