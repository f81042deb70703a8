"""What the API said, in the reason of a dead letter: its words, and nothing that it was sent."""

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from relay.model import Answer, Request
from relay.stream.sending.complaint import CHARS_MAX, complaint
from relay.telemetry.redact import redact

SENT = {
    "$user_identifiers": [{"$type": "USER_ACCOUNT", "$user_account_id": "crm-881"}],
    "$ts": 1795339800000,
    "$events": [{"$event_name": "checked", "name": "Jane van Dyke", "mail": "jane@example.com"}],
}


def said(body, sent=SENT):
    body = body if isinstance(body, bytes) else orjson.dumps(body)
    path = "/v1/datamarts/1234/user_points/user_account_id=u%2042"
    return complaint(Answer(400, body=body), Request("PUT", path, orjson.dumps(sent)), redact)


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ({"status": "error", "error": "Invalid value of $ts"}, "Invalid value of $ts"),
        ({"error": {"code": 3, "message": "unknown type"}}, "unknown type"),
        ({"errors": [{"title": "no such channel"}, {"title": "x"}]}, "no such channel"),
        ({"message": "two\n lines"}, "two lines"),
        ({"status": "error", "error_id": "a-b"}, ""),
        ({"error": None, "message": "the second"}, "the second"),
        (b"<html>Bad request</html>", ""),
        (b"", ""),
    ],
)
def test_the_words_are_those_of_the_error(body, words):
    assert said(body) == words


@pytest.mark.parametrize(
    ("error", "words"),
    [
        ("account crm-881 is unknown", "account *** is unknown"),
        ("no such user: u 42", "no such user: ***"),
        ('"Jane van Dyke" is not a number', '"***" is not a number'),
        ("Dyke, JANE: no such person", "***, ***: no such person"),
        ("bad address jane@example.com", "bad address ***"),
        ("1795339800000 lies in the future", "*** lies in the future"),
        ("$user_account_id must be unique", "$user_account_id must be unique"),
        ("someone else's: bob@example.org", "someone else's: ***"),
    ],
)
def test_what_was_sent_is_masked_and_names_of_fields_stay(error, words):
    assert said({"error": error}) == words


def test_it_is_cut():
    assert len(said({"error": "x " * 500})) == CHARS_MAX


@given(st.text("abcdefgh-@. ", min_size=3, max_size=20).map(str.strip).filter(lambda t: len(t) > 2))
def test_no_value_of_the_request_is_quoted(value):
    words = said({"error": f"refused: ({value})"}, {"properties": [{"note": value}]})
    assert " ".join(value.split()) not in words
