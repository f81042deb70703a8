"""What answers ask for, in each dialect; and the rate that we choose ourselves."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relay.model import Answer
from relay.stream.sending.pacing import RateLimiter, RatePolicy, asked_pause_s

NOW_MS = 1_767_225_600_000
"""Thu, 01 Jan 2026 00:00:00 GMT."""


def asked(**headers):
    names = {name.replace("_", "-"): value for name, value in headers.items()}
    return asked_pause_s(Answer(429, names), NOW_MS)


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({}, None),
        ({"retry_after": "7"}, 7.0),
        ({"retry_after": " 7 "}, 7.0),
        ({"retry_after": "0"}, 0.0),
        ({"retry_after": "0.5"}, 0.5),
        ({"retry_after": "Thu, 01 Jan 2026 00:01:30 GMT"}, 90.0),
        ({"retry_after": "Thursday, 01-Jan-26 00:01:30 GMT"}, 90.0),
        ({"retry_after": "Thu Jan  1 00:01:30 2026"}, 90.0),
        ({"retry_after": "Thu, 01 Jan 2026 00:01:30 -0000"}, 90.0),
        ({"retry_after": "Thu, 01 Jan 2026 01:01:30 +0100"}, 90.0),
        ({"retry_after": "Wed, 31 Dec 2025 23:00:00 GMT"}, 0.0),
        ({"retry_after": "-5"}, None),
        ({"retry_after": "soon"}, None),
        ({"retry_after": "inf"}, None),
        ({"retry_after": "nan"}, None),
        ({"retry_after": ""}, None),
        ({"retry_after": "2, 4"}, 4.0),
        ({"retry_after": "4,soon, 2"}, 4.0),
        ({"retry_after": "2, Thu, 01 Jan 2026 00:01:30 GMT"}, 90.0),
        ({"retry_after": "Thu, 01 Jan 2026 00:01:30 GMT, Thursday, 01-Jan-26 00:02:30 GMT"}, 150.0),
        # A server whose clock is an hour ahead says when by its own clock.
        (
            {
                "retry_after": "Thu, 01 Jan 2026 01:00:05 GMT",
                "date": "Thu, 01 Jan 2026 01:00:00 GMT",
            },
            5.0,
        ),
        ({"retry_after": "Thu, 01 Jan 2026 00:01:30 GMT", "date": "yesterday"}, 90.0),
        ({"retry_after": "7", "date": "Thu, 01 Jan 2026 01:00:00 GMT"}, 7.0),
        ({"ratelimit_remaining": "0", "ratelimit_reset": "30"}, 30.0),
        ({"ratelimit_remaining": "1", "ratelimit_reset": "30"}, None),
        ({"ratelimit_remaining": "0"}, None),
        ({"ratelimit_remaining": "0, 0;w=60", "ratelimit_reset": "30, 60"}, 30.0),
        ({"x_ratelimit_remaining": "0", "x_ratelimit_reset": "12"}, 12.0),
        ({"x_ratelimit_remaining": "0", "x_ratelimit_reset": "1767225645"}, 45.0),
        ({"x_ratelimit_remaining": "0", "x_ratelimit_reset": "1767225000"}, 0.0),
        ({"x_rate_limit_remaining": "0", "x_rate_limit_reset": "3"}, 3.0),
        ({"ratelimit": '"default";r=0;t=30'}, 30.0),
        ({"ratelimit": '"default";r=5;t=30'}, None),
        ({"ratelimit": '"default";r=0'}, None),
        ({"ratelimit": "limit=100, remaining=0, reset=9"}, 9.0),
        ({"ratelimit": '"burst";r=3;t=1, "daily";r=0;t=60'}, 60.0),
        ({"ratelimit": '"daily";r=0;t=60, "burst";r=3;t=1'}, 60.0),
        ({"retry_after": "2", "ratelimit_remaining": "0", "ratelimit_reset": "30"}, 2.0),
        ({"retry_after": "soon", "ratelimit_remaining": "0", "ratelimit_reset": "30"}, 30.0),
    ],
)
def test_a_pause_is_read_from_each_dialect(headers, seconds):
    assert asked(**headers) == pytest.approx(seconds)


NAMES = st.sampled_from(
    [
        "retry-after",
        "date",
        "ratelimit",
        "ratelimit-remaining",
        "ratelimit-reset",
        "x-ratelimit-remaining",
        "x-ratelimit-reset",
        "x-rate-limit-reset",
    ]
)
PARTS = st.sampled_from(
    ("0", "1", "-1", "1e400", "99999999999999999999", "٣", "\x00", "r=0", "t=5", "remaining=0",
     "reset=7", ";", ",", "Thu", "01", "Jan", "0001", "9999", "00:00:00", "GMT", "+2359", "-0000")
)  # fmt: skip


@given(st.dictionaries(NAMES, st.one_of(st.text(), st.lists(PARTS).map(" ".join))))
def test_no_header_whatever_it_holds_is_an_error_or_a_pause_without_end(headers):
    seconds = asked_pause_s(Answer(429, headers), NOW_MS)
    assert seconds is None or (seconds >= 0 and math.isfinite(seconds))


@pytest.mark.parametrize(
    "date",
    [
        "Mon, 01 Jan 0001 00:00:00 -0000",
        "Mon, 01 Jan 0001 00:00:00 +2359",
        "Fri, 31 Dec 9999 23:59:59 -2359",
        "Fri, 31 Dec 9999 23:59:59 -0000",
    ],
)
def test_a_date_at_the_end_of_the_calendar_is_no_error(date):
    assert asked(retry_after=date) in (None, 0.0) or date.startswith("Fri")


# -- the rate ---------------------------------------------------------------------------------


def sent_in(limiter, start, seconds):
    """How many requests leave in this time when there is always another one."""
    now, count = start, 0
    while (now := limiter.opens_at(now)) <= start + seconds:
        limiter.left(now)
        count += 1
    return count


def test_without_a_rate_everything_may_leave():
    limiter = RateLimiter(RatePolicy())
    for _ in range(1000):
        assert limiter.opens_at(5.0) == 5.0
        limiter.left(5.0)


def test_the_rate_is_kept_with_a_burst_of_a_tenth_of_a_second():
    limiter = RateLimiter(RatePolicy(rate_per_second=100.0))
    assert 1000 <= sent_in(limiter, 0.0, 10.0) <= 1012


def test_quiet_time_is_not_saved_up():
    limiter = RateLimiter(RatePolicy(rate_per_second=100.0))
    sent_in(limiter, 0.0, 1.0)
    assert sent_in(limiter, 3600.0, 1.0) <= 112


def test_a_shared_rate_is_taken_by_share_of_partitions():
    limiter = RateLimiter(RatePolicy(rate_per_second=100.0, rate_shared=True))
    limiter.share(0.25)
    assert 250 <= sent_in(limiter, 0.0, 10.0) <= 256


def test_a_rate_of_our_own_ignores_the_share():
    limiter = RateLimiter(RatePolicy(rate_per_second=100.0))
    limiter.share(0.25)
    assert sent_in(limiter, 0.0, 10.0) >= 1000


@pytest.mark.parametrize("small", [0.0, 0.00001])
def test_partitions_that_come_back_bring_their_rate_at_once(small):
    limiter = RateLimiter(RatePolicy(rate_per_second=100.0, rate_shared=True))
    limiter.share(small)
    limiter.left(limiter.opens_at(0.0))
    limiter.share(1.0)
    assert sent_in(limiter, 1.0, 1.0) >= 99


@given(
    st.floats(0.5, 500.0),
    st.lists(st.tuples(st.floats(0.0, 5.0), st.floats(0.05, 1.0)), min_size=1, max_size=20),
)
def test_the_rate_is_never_exceeded_however_the_share_moves(per_second, steps):
    limiter = RateLimiter(RatePolicy(rate_per_second=per_second, rate_shared=True))
    now = allowed = 0.0
    sent = 0
    for seconds, share in steps:
        limiter.share(share)
        sent += sent_in(limiter, now, seconds)
        allowed += seconds * per_second * share + 0.1 * per_second * share + 2
        now += seconds
    assert sent <= allowed
