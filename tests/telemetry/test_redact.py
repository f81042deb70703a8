"""What must not survive in text that others wrote."""

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from relay.telemetry import redact as redacting
from relay.telemetry.redact import redact


@pytest.mark.parametrize(
    ("text", "masked"),
    [
        ("mail ann.lee+x@example.co.uk bounced", "mail *** bounced"),
        ("ann%40example.com", "***"),
        ("Authorization: Bearer abc.def", "Authorization: Bearer ***"),
        ("authorization='abc'", "authorization='***'"),
        ('{"api_token": "abc", "x": 1}', '{"api_token": "***", "x": 1}'),
        ("sasl_plain_password=abc;", "sasl_plain_password=***;"),
        ("got Bearer abcdefgh", "got Bearer ***"),
        ("https://ann:pw@proxy:3128/x", "https://***@proxy:3128/x"),
        ("device 6D92078A-8246-4BA4-AE5B-76104861E7DC ok", "device *** ok"),
        ("key 6d92078a82464ba4ae5b76104861e7dc", "key ***"),
        ("hash " + "ab" * 32, "hash ***"),
        ("call +33 6 12 34 56 78 now", "call *** now"),
    ],
)
def test_what_may_be_personal_or_secret_is_masked(text, masked):
    assert redact(text) == masked


@pytest.mark.parametrize(
    "text",
    [
        "Unable to connect to kafka-1.internal:9092",
        "topic app-events partition 3 offset 1234567890123",
        "Heartbeat failed for group relay because it is rebalancing",
        "$ts: must be epoch milliseconds",
        "token expired",
    ],
)
def test_what_people_need_is_left_alone(text):
    assert redact(text) == text


# The patterns as one would write them first. They mean the same and take quadratic time.
SIMPLE = (
    (re.compile(r"(?<=://)[^\s/@]+(?=@)"), "***"),
    (
        re.compile(
            r"(?i)(\b[\w-]*(?:authorization|token|password|passwd|secret|api[-_]?key)\b[\"']?"
            r"\s*[:=]\s*[\"']?(?:(?:bearer|basic|token)\s+)?)[^\s\"',;&}]+"
        ),
        r"\1***",
    ),
    (re.compile(r"(?i)\b(bearer|basic)\s+[\w.~+/=:-]{6,}"), r"\1 ***"),
    (re.compile(r"[\w.!#$%&'*+/=?^`{|}~-]+(?:@|%40)[\w-]+(?:\.[\w-]+)+"), "***"),
    (re.compile(r"(?i)\b[0-9a-f]{8}-?(?:[0-9a-f]{4}-?){3}[0-9a-f]{12}\b"), "***"),
    (re.compile(r"(?i)\b[0-9a-f]{32,}\b"), "***"),
    (re.compile(r"\+\d[\d ().-]{6,}\d"), "***"),
)
PIECES = st.sampled_from(
    [
        *'a-._%@40/:="}é \n',
        *("%40", "://", "+1234567", "b.co", "ann@b.co", "ab" * 16),
        *("token", "Bearer ", "password", "api_key"),
    ]
)


@settings(max_examples=1000)
@given(st.lists(PIECES, max_size=30).map("".join))
def test_it_masks_what_the_simple_patterns_mask(text):
    line = " ".join(text.split())
    for pattern, mask in SIMPLE:
        line = pattern.sub(mask, line)
    assert redact(text, length_max=5_000) == line


def parsed(pattern):
    return re._parser.parse(pattern.pattern, pattern.flags & ~re.UNICODE)  # type: ignore[attr-defined]


def endless(part):
    """Whether it is a repetition of unknown length."""
    return "REPEAT" in str(part[0]) and part[1][1] == re._constants.MAXREPEAT  # type: ignore[attr-defined]


def begins_endless(pattern):
    return endless(next(iter(parsed(pattern))))


def holds_endless_in_endless(pattern):
    def within(parts, inside):
        for part in parts:
            again = endless(part)
            # A possessive one is never tried with less than it took.
            if again and inside and str(part[0]) != "POSSESSIVE_REPEAT":
                return True
            for below in subpatterns(part):
                if within(below, inside or again):
                    return True
        return False

    return within(parsed(pattern), False)


def subpatterns(part):
    kind, value = str(part[0]), part[1]
    match kind:
        case "SUBPATTERN":
            return [value[3]]
        case "BRANCH":
            return value[1]
        case _ if "REPEAT" in kind:
            return [value[2]]
        case _ if "ASSERT" in kind:
            return [value[1]]
        case _:
            return []


def patterns():
    found = [value for value in vars(redacting).values() if isinstance(value, re.Pattern)]
    for value in vars(redacting).values():
        if isinstance(value, tuple):
            found += [pattern for pattern, _ in value]
    return found


@pytest.mark.parametrize("pattern", patterns(), ids=lambda pattern: pattern.pattern[:20])
def test_no_pattern_can_take_quadratic_time(pattern):
    """A repetition at the beginning is tried from every character on; nested ones backtrack."""
    searched_from_its_end = pattern in (redacting._RUN, redacting._DOMAIN)
    assert searched_from_its_end or not begins_endless(pattern)
    assert not holds_endless_in_endless(pattern)


def test_the_check_finds_the_patterns_that_took_quadratic_time():
    assert [begins_endless(pattern) for pattern, _ in SIMPLE].count(True) == 1
    assert begins_endless(re.compile(r"[a-z]+x"))
    assert holds_endless_in_endless(re.compile(r"x(?:[a-z]+,?)+y"))


@given(st.text(max_size=3000))
def test_the_result_is_one_short_line(text):
    line = redact(text)
    assert len(line) <= 500
    assert len(line.splitlines()) <= 1
