from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic_core import PydanticCustomError

from relay.stream.decoding.fields import MS_MAX, MS_MIN, read_timestamp


@pytest.mark.parametrize(
    ("given_ts", "ms"),
    [
        (1769851800123, 1769851800123),
        ("2026-01-31T09:30:00Z", 1769851800000),
        ("2026-01-31t09:30:00.123z", 1769851800123),
        ("2026-01-31 10:30:00.123+01:00", 1769851800123),
        ("2026-01-31T09:30:00.123999999Z", 1769851800123),
        ("1970-01-01T00:00:00Z", 0),
        (10**11, 10**11),
        (10**14 - 1, 10**14 - 1),
        ("1969-12-31T23:59:59.9Z", -100),
    ],
)
def test_times_are_read_to_the_millisecond(given_ts, ms):
    assert read_timestamp(given_ts) == ms


@pytest.mark.parametrize(
    ("given_ts", "why"),
    [
        (0, "is too small for epoch milliseconds"),
        (1769851800, "looks like epoch seconds; milliseconds are wanted"),
        (1769851800123456, "looks like epoch microseconds; milliseconds are wanted"),
        (1769851800123456789, "looks like epoch nanoseconds; milliseconds are wanted"),
        (10**8 - 1, "is too small for epoch milliseconds"),
        (10**8, "looks like epoch seconds; milliseconds are wanted"),
        (10**11 - 1, "looks like epoch seconds; milliseconds are wanted"),
        (10**14, "looks like epoch microseconds; milliseconds are wanted"),
        (10**17 - 1, "looks like epoch microseconds; milliseconds are wanted"),
        (10**17, "looks like epoch nanoseconds; milliseconds are wanted"),
        (1769851800123.0, "must be a whole number of milliseconds"),
        (True, "must be RFC 3339 text or epoch milliseconds"),
        (None, "must be RFC 3339 text or epoch milliseconds"),
        ("1769851800123", "must be RFC 3339 with an offset (2026-01-31T09:30:00.123Z)"),
        ("2026-01-31T09:30:00", "must be RFC 3339 with an offset (2026-01-31T09:30:00.123Z)"),
        ("2026-01-31", "must be RFC 3339 with an offset (2026-01-31T09:30:00.123Z)"),
        ("20260131T093000Z", "must be RFC 3339 with an offset (2026-01-31T09:30:00.123Z)"),
        ("2026-01-31T09:30:00Z\n", "must be RFC 3339 with an offset (2026-01-31T09:30:00.123Z)"),
        ("٢٠٢٦-01-31T09:30:00Z", "must be RFC 3339 with an offset (2026-01-31T09:30:00.123Z)"),
        ("2026-02-29T00:00:00Z", "is not a date that exists"),
        ("2026-01-31T24:30:00Z", "is not a date that exists"),
        ("0000-01-01T00:00:00Z", "is not a date that exists"),
    ],
)
def test_a_time_in_another_unit_or_form_is_refused_with_the_reason(given_ts, why):
    with pytest.raises(PydanticCustomError) as refusal:
        read_timestamp(given_ts)
    assert refusal.value.message() == why


@given(st.datetimes(timezones=st.just(UTC)), st.integers(-23, 23))
def test_text_and_number_of_one_instant_agree(when, hours):
    when = when.replace(microsecond=when.microsecond // 1000 * 1000)
    ms = (when - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(milliseconds=1)
    assert read_timestamp(when.isoformat()) == ms
    assert read_timestamp(when.isoformat(timespec="milliseconds").replace("+00:00", "Z")) == ms
    if MS_MIN <= ms < MS_MAX:
        assert read_timestamp(ms) == ms
