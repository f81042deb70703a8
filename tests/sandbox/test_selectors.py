"""Raw paths: cut first, decoded afterwards."""

from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relay.sandbox.selectors import BadPath, UserPointId, parse_resource, parse_selector, split
from relay.sandbox.user_points import Identifier

TEXT = st.text(st.characters(exclude_categories=["Cs"]), min_size=1)


@pytest.mark.parametrize(
    ("raw", "selector"),
    [
        (b"36c9-11", UserPointId("36c9-11")),
        (b"user_point_id=36c9-11", UserPointId("36c9-11")),
        (b"user_agent_id=vec:12", Identifier("USER_AGENT", "", "vec:12")),
        (b"user_agent_id=vec%3A12", Identifier("USER_AGENT", "", "vec:12")),
        (b"email_hash=abc", Identifier("USER_EMAIL", "", "abc")),
        (b"compartment_id=17,user_account_id=a", Identifier("USER_ACCOUNT", "17", "a")),
        (b"user_account_id=a,compartment_id=17", Identifier("USER_ACCOUNT", "17", "a")),
        (b"user_account_id=a", Identifier("USER_ACCOUNT", "1000", "a")),
        (
            b"compartment_id=1,user_account_id=a%2Cb%2Fc%3Dd",
            Identifier("USER_ACCOUNT", "1", "a,b/c=d"),
        ),
        (b"user_account_id=a=b", Identifier("USER_ACCOUNT", "1000", "a=b")),
        (b"user_account_id=a+b", Identifier("USER_ACCOUNT", "1000", "a+b")),
    ],
)
def test_each_form_of_selector_is_read(raw, selector):
    assert parse_selector(raw, "1000") == selector


@pytest.mark.parametrize(
    "raw",
    [
        b"user_account_id=",
        b"=a",
        b"phone=1",
        b"compartment_id=1",
        b"compartment_id=1,a",
        b"user_agent_id=a,email_hash=b",
        b"user_agent_id=%ff",
    ],
)
def test_another_selector_is_refused(raw):
    with pytest.raises(BadPath):
        parse_selector(raw, "1000")


@given(TEXT, TEXT)
def test_an_encoded_account_comes_back_whatever_it_holds(compartment, account):
    raw = f"compartment_id={quote(compartment, safe='')},user_account_id={quote(account, safe='')}"
    assert parse_selector(raw.encode(), "1000") == Identifier("USER_ACCOUNT", compartment, account)


def test_a_resource_is_names_and_values():
    resource = parse_resource(b"user_choices/processing_id=a%2Fb/change_log")
    assert resource.names == ("user_choices", "processing_id", "change_log")
    assert resource.values == {"processing_id": "a/b"}


@pytest.mark.parametrize("raw", [b"user_choices/processing_id=", b"user_choices//x", b"a/%80"])
def test_a_resource_with_an_empty_or_unreadable_part_is_refused(raw):
    with pytest.raises(BadPath):
        parse_resource(raw)


@pytest.mark.parametrize(
    ("path", "parts"),
    [
        (b"/v1/datamarts/1/user_points/x%2Fy/user_choices", (b"1", b"x%2Fy", b"user_choices")),
        (b"/v1/datamarts/1/user_timelines/x/user_activities", (b"1", b"x", b"user_activities")),
        (b"/v1/datamarts/1/user_timelines/x/user_choices", None),
        (b"/v1/datamarts/1/user_points/x", None),
        (b"/v1/datamarts/1/user_activities", None),
    ],
)
def test_a_path_is_a_user_point_call_or_not(path, parts):
    assert split(path) == parts
