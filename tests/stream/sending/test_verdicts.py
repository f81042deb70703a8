"""The table of verdicts, row by row; and that rules of a deployment stand before it."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relay.model import Answer, NoAnswer, VerdictKind
from relay.stream.sending.verdicts import (
    DEFAULT_RULES,
    EXCERPT_CHARS_MAX,
    Rule,
    excerpt,
    is_plain_success,
    judge,
    statuses,
)

DELIVERED, THROTTLED, UNAVAILABLE = (
    VerdictKind.DELIVERED,
    VerdictKind.THROTTLED,
    VerdictKind.UNAVAILABLE,
)
REFUSED, MISCONFIGURED = VerdictKind.REFUSED, VerdictKind.MISCONFIGURED

OK = b'{"status":"ok","data":true}'
ERROR = b'{"status":"error","error":"bad","error_id":"1"}'


def kind(status, body=b"", rules=DEFAULT_RULES, **headers):
    return judge(Answer(status, headers, body), rules, 0).kind


EXPECTED = {
    **dict.fromkeys(range(100, 200), UNAVAILABLE),
    **dict.fromkeys(range(200, 300), UNAVAILABLE),
    **dict.fromkeys(range(300, 400), MISCONFIGURED),
    **dict.fromkeys(range(400, 500), REFUSED),
    **dict.fromkeys(range(500, 600), UNAVAILABLE),
    **dict.fromkeys((401, 402, 403, 404, 405, 407, 410, 415, 421, 426), MISCONFIGURED),
    **dict.fromkeys((408, 425), UNAVAILABLE),
    429: THROTTLED,
}


@pytest.mark.parametrize("status", sorted(EXPECTED))
def test_every_status_has_its_row(status):
    assert kind(status) is EXPECTED[status]


@pytest.mark.parametrize("no_answer", list(NoAnswer))
def test_no_answer_says_nothing_about_the_record(no_answer):
    verdict = judge(Answer(0, no_answer=no_answer, detail="because"), DEFAULT_RULES, 0)
    assert (verdict.kind, verdict.code, verdict.status) == (UNAVAILABLE, str(no_answer), 0)
    assert verdict.reason == "no answer: because"


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (OK, DELIVERED),
        (b' {\n "status" : "ok" }', DELIVERED),
        (b'{"data":{"status":"error"},"status":"ok"}', DELIVERED),
        (b'{"status":"ok","data":{"status":"error"}}', DELIVERED),
        (ERROR, REFUSED),
        (b'{"status":"error","data":{"status":"ok"}}', REFUSED),
        (b'{"data":{"status":"ok"},"status":"error"}', REFUSED),
        (b'{"error":"\\"status\\":\\"ok\\"","status":"error"}', REFUSED),
        (b'{"status":"OK"}', DELIVERED),
        (b'{"data":1,"status":"Ok"}', DELIVERED),
        (b'{"status":"ERROR"}', REFUSED),
        (b'\xef\xbb\xbf{"status":"ok"}', DELIVERED),
        (b'\xef\xbb\xbf{"data":1,"status":"ok"}', DELIVERED),
        (b'\xef\xbb\xbf{"status":"error"}', REFUSED),
        (b'{"data":"Orl\xe9ans","status":"ok"}', DELIVERED),
        (b'{"data":{"status":"ok"}}', UNAVAILABLE),
        (b'"status":"ok"', UNAVAILABLE),
        (b'["status","ok"]', UNAVAILABLE),
        (b'{"status":"okay"}', UNAVAILABLE),
        (b'{"status":"ok"', UNAVAILABLE),
        (b"", UNAVAILABLE),
        (b"<html>Sign in</html>", UNAVAILABLE),
        (b"\xff\xfe", UNAVAILABLE),
    ],
)
@pytest.mark.parametrize("status", [200, 201, 202])
def test_a_2xx_is_believed_only_when_the_api_itself_says_ok(status, body, expected):
    assert kind(status, body) is expected


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (b'{"status":"ok","data":"xxx', DELIVERED),
        (b'{"data":{"status":"error"},"status":"ok","more":[1,2', DELIVERED),
        (b'\xef\xbb\xbf{"data":"Orl\xe9ans","status":"ok","more":"x', DELIVERED),
        (b'{"status":"error","error":"xxx', REFUSED),
        (b'{"data":"xxx', MISCONFIGURED),
        (b'{"data":{"status":"ok"', MISCONFIGURED),
        (b"<html>", MISCONFIGURED),
    ],
)
def test_of_a_2xx_whose_body_is_cut_the_beginning_counts(body, expected):
    answer = Answer(200, {}, body, detail="the body is above 1024 bytes", cut=True)
    verdict = judge(answer, DEFAULT_RULES, 0)
    assert verdict.kind is expected
    if expected is MISCONFIGURED:
        assert "tracking.response_bytes_max" in verdict.reason


@pytest.mark.parametrize(("status", "expected"), [(400, REFUSED), (503, UNAVAILABLE)])
def test_another_status_counts_whatever_the_length_of_its_body(status, expected):
    assert judge(Answer(status, {}, b"<html>", cut=True), DEFAULT_RULES, 0).kind is expected


@pytest.mark.parametrize("retry_after", ["5", "Thu, 01 Jan 1970 00:00:05 GMT", "nonsense"])
def test_a_503_that_asks_to_wait_is_a_throttle(retry_after):
    assert kind(503) is UNAVAILABLE
    assert kind(503, **{"retry-after": retry_after}) is THROTTLED


def test_what_was_asked_comes_with_the_verdict():
    verdict = judge(Answer(429, {"retry-after": "7"}), DEFAULT_RULES, 0)
    assert verdict.retry_after_s == 7.0


@given(st.binary(max_size=60), st.sampled_from([b"", OK, ERROR, b'{"status":']))
def test_the_short_cut_for_success_never_disagrees_with_the_table(body, head):
    answer = Answer(200, {}, head + body)
    if is_plain_success(answer):
        assert judge(answer, DEFAULT_RULES, 0).kind is DELIVERED


def test_the_short_cut_takes_the_answer_that_nearly_every_attempt_gets():
    assert is_plain_success(Answer(200, {}, OK))
    assert is_plain_success(Answer(200, {}, b'{"status":"ok"}'))
    assert is_plain_success(Answer(200, {}, b'\xef\xbb\xbf{"status":"OK"}'))
    assert not is_plain_success(Answer(202, {}, OK))
    assert not is_plain_success(Answer(200, {}, ERROR))


@given(
    st.integers(0, 999),
    st.binary(max_size=50),
    st.dictionaries(st.sampled_from(["retry-after", "ratelimit", "server"]), st.text()),
)
def test_every_answer_gets_a_verdict_with_a_bounded_code(status, body, headers):
    verdict = judge(Answer(status, headers, body), DEFAULT_RULES, 0)
    assert re.fullmatch(r"http_\d{1,3}|broken", verdict.code)
    assert "\n" not in verdict.reason


# -- rules of a deployment --------------------------------------------------------------------


def test_rules_of_a_deployment_stand_before_the_table():
    rules = (
        Rule(REFUSED, statuses("500"), "this gateway's way to refuse", body=re.compile(b"invalid")),
        Rule(THROTTLED, statuses("403"), "the firewall", header="x-waf"),
        Rule(DELIVERED, statuses("409"), "seen before"),
        Rule(THROTTLED, statuses("none"), "it hangs up when it is busy"),
        *DEFAULT_RULES,
    )
    assert kind(500, b"invalid event", rules) is REFUSED
    assert kind(500, b"oops", rules) is UNAVAILABLE
    assert kind(403, b"", rules, **{"x-waf": "1"}) is THROTTLED
    assert kind(403, b"", rules) is MISCONFIGURED
    assert kind(409, b"", rules) is DELIVERED
    assert judge(Answer(0, no_answer=NoAnswer.BROKEN), rules, 0).kind is THROTTLED


def test_the_first_rule_that_matches_decides():
    rules = (
        Rule(REFUSED, statuses("5xx"), "first"),
        Rule(DELIVERED, statuses("500"), "second"),
    )
    verdict = judge(Answer(500), rules, 0)
    assert (verdict.kind, verdict.reason) == (REFUSED, "500 first")


@pytest.mark.parametrize(
    ("text", "some", "count"),
    [
        ("429", {429}, 1),
        ("5xx", {500, 555, 599}, 100),
        ("500-504", {500, 504}, 5),
        ("none", {0}, 1),
        ("408, 5xx ,none", {0, 408, 500}, 102),
    ],
)
def test_statuses_are_written_short(text, some, count):
    found = statuses(text)
    assert some <= found
    assert len(found) == count


@pytest.mark.parametrize("text", ["", "6xx", "42", "4x", "500-", "504-500", "all", "429,,500"])
def test_what_is_no_status_is_named(text):
    with pytest.raises(ValueError, match="is not a status"):
        statuses(text)


# -- the excerpt ------------------------------------------------------------------------------


def test_an_excerpt_is_one_printable_bounded_line_and_redacted():
    body = b"line one\nline\ttwo \x00\x1b[31m secret " + b"x" * 5000
    text = excerpt(Answer(400, {}, body), lambda line: line.replace("secret", "***"))
    assert text.startswith("line one line two [31m *** xxx")
    assert len(text) == EXCERPT_CHARS_MAX
    assert text.isprintable()


def test_redaction_sees_what_the_cut_would_split():
    body = b"x" * (EXCERPT_CHARS_MAX - 3) + b"secret"
    text = excerpt(Answer(400, {}, body), lambda line: line.replace("secret", "***"))
    assert "sec" not in text


@given(st.binary(max_size=2000))
def test_any_body_has_an_excerpt(body):
    text = excerpt(Answer(400, {}, body), str)
    assert len(text) <= EXCERPT_CHARS_MAX
    assert text.isprintable()
