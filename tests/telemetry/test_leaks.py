"""The scanner for personal data finds what it must, or the test that uses it proves nothing."""

import base64
import hashlib
from urllib.parse import quote

import pytest

from tests.support.leaks import Leak, leaks, watched

EVENT = {
    "type": "track",
    "user": {
        "accounts": [{"id": "crm-88100", "compartment": "1700"}],
        "emails": [{"address": "Jane.Doe@example.com"}],
        "devices": [{"os": "ios", "advertising_id": "6D92078A-8246-4BA4-AE5B-76104861E7DC"}],
    },
}
FORMS = watched([EVENT], ["tok-12345"])


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("sent crm-88100", "user.accounts.id"),
        ("sent JANE.DOE@EXAMPLE.COM", "user.emails.address"),
        (quote("Jane.Doe@example.com"), "user.emails.address"),
        (hashlib.sha256(b"jane.doe@example.com").hexdigest(), "user.emails.address"),
        (hashlib.md5(b"Jane.Doe@example.com").hexdigest().upper(), "user.emails.address"),
        ("ios 6d92078a-8246-4ba4-ae5b-76104861e7dc", "user.devices.advertising_id"),
        ("Authorization: tok-12345", "secret"),
        (base64.b64encode(b"tok-12345").decode(), "secret"),
    ],
)
def test_every_form_of_an_identifier_is_found_with_its_line(text, what):
    assert leaks(f"first\n{text}\nlast", FORMS) == [Leak(2, what)]
    assert leaks(f"first\n{text}\nlast".encode(), FORMS) == [Leak(2, what)]


def test_what_is_not_personal_may_be_said():
    assert leaks("app-events-0-17 compartment 1700 ios refused http_400", FORMS) == []


def test_events_may_be_given_as_they_lie_on_the_topic():
    assert watched([b'{"user": {"accounts": [{"id": "crm-1001"}]}}'])


def test_a_scan_that_could_not_fail_is_refused():
    with pytest.raises(ValueError, match="too short"):
        watched([{"user": {"accounts": [{"id": "u1"}]}}])
    with pytest.raises(ValueError, match="nothing to look for"):
        watched([])
