"""What an execution says → what became of each line; whatever it leaves open is not guessed."""

import pytest

from relay.apis.mediarithmics_document_imports import Execution
from relay.membership.verdict import Apart, Settled, read
from relay.segments.outcome import Failed, outcome_of
from relay.segments.rejections import Rejection


def member(user, segment="88", kind="user_account_id"):
    return ((kind, "", user), ("id", segment))


ALICE, BOB, CAROL = member("alice"), member("bob"), member("carol")
THREE = (ALICE, BOB, CAROL)
WHY = "rejected by the import: user unknown"


def named(user=None, segment=None, reason="user unknown"):
    return Rejection(user, reason, segment)


def verdict(taken, rejected, *rejections, members=THREE, verify_counts=True):
    execution = Execution("1", "SUCCEEDED", succeeded=taken, failed=rejected)
    outcome = outcome_of(execution, len(members), verify_counts=verify_counts)
    return outcome if isinstance(outcome, Failed) else read(outcome, members, rejections)


def test_an_execution_that_took_every_line_has_landed():
    assert verdict(3, 0) == Settled((None, None, None))


def test_a_rejected_line_is_told_by_its_user():
    assert verdict(2, 1, named("bob")) == Settled((None, WHY, None))


def test_a_reason_that_the_file_does_not_tell_is_not_made_up():
    assert verdict(2, 1, named("bob", reason="")) == Settled((None, "rejected by the import", None))


def test_when_all_were_rejected_the_error_file_is_not_needed():
    assert verdict(0, 3) == Settled(("rejected by the import",) * 3)
    assert verdict(0, 3, named("bob")) == Settled(
        ("rejected by the import", WHY, "rejected by the import")
    )


@pytest.mark.parametrize(
    "rejections",
    [
        (),  # no error file
        (named("dave"),),  # somebody whom we did not send
        (named("alice"), named("bob")),  # more than were counted
    ],
)
def test_a_file_that_disagrees_with_the_counts_is_not_believed(rejections):
    assert isinstance(verdict(2, 1, *rejections), Apart)


def test_those_whom_the_file_may_mean_are_named():
    assert verdict(1, 2, named("bob")) == Apart(2, frozenset({1}))
    assert verdict(2, 1, named()) == Apart(1, frozenset())  # from 0, from 1: nobody knows


def test_of_a_user_in_two_segments_the_line_is_told_by_the_segment():
    members = (member("alice", "88"), member("alice", "89"), BOB)
    found = verdict(2, 1, named("alice", segment="89"), members=members)
    assert found == Settled((None, WHY, None))
    assert verdict(2, 1, named("alice"), members=members) == Apart(1, frozenset({0, 1}))


def test_the_same_text_as_account_and_as_email_is_two_lines():
    members = (member("x1"), member("x1", kind="email_hash"))
    assert verdict(1, 1, named("x1"), members=members) == Apart(1, frozenset({0, 1}))


def test_counts_that_do_not_add_up_are_a_failure():
    found = verdict(2, 0)
    assert isinstance(found, Failed)
    assert "3 lines were sent" in found.reason


def test_a_platform_that_does_not_count_is_believed_only_where_the_settings_say_so():
    assert isinstance(verdict(None, None), Failed)
    assert verdict(None, None, verify_counts=False) == Settled((None, None, None))
    found = verdict(None, None, named("bob"), verify_counts=False)
    assert found == Settled((None, WHY, None))
