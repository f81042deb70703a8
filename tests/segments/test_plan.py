"""When a sync stops itself."""

import pytest

from relay.errors import ExitStatus
from relay.segments.errors import SegmentStopped
from relay.segments.plan import Plan, SafetyPolicy, check_safety


def plan(members, leaving, **counts):
    fields = {"rows": 0, "without_id": 0, "repeated": 0, "users": 0, "entering": 0, "renewing": 0}
    return Plan(**{**fields, "again": 0, "members": members, "leaving": leaving, **counts})


@pytest.mark.parametrize(
    ("members", "leaving", "stops"),
    [
        (1000, 300, False),
        (1000, 301, True),
        (1000, 1000, True),
        (100, 100, False),  # so few may always leave
        (101, 101, True),
        (0, 0, False),
    ],
)
def test_a_sync_stops_above_the_share_and_above_the_number(members, leaving, stops):
    if not stops:
        check_safety(plan(members, leaving), SafetyPolicy(removal_share_max=0.3, removals_free=100))
        return
    with pytest.raises(
        SegmentStopped, match=f"{leaving} of {members}.*nothing was uploaded"
    ) as caught:
        check_safety(plan(members, leaving), SafetyPolicy(removal_share_max=0.3, removals_free=100))
    assert caught.value.exit_status is ExitStatus.SEGMENT_STOPPED


def test_the_numbers_of_a_plan_add_up():
    found = plan(10, 3, users=12, entering=4, renewing=2, again=1)
    assert (found.updates, found.commands, found.staying) == (7, 10, 5)
    assert found.document()["removal_share"] == 0.3


SAFE = SafetyPolicy(removals_free=10)


@pytest.mark.parametrize(
    ("users", "members", "peak", "last", "stops"),
    [
        (500, 600, 1000, 600, False),
        (499, 600, 1000, 600, True),  # each run within bounds, and half of them gone in all
        (499, 499, 1000, 499, False),  # nobody leaves
        (4, 12, 12, 12, False),  # so few may always leave
        (300, 100, 100, 100, False),
        (301, 100, 100, 100, True),
        (301, 16, 0, 0, False),  # the first run broke off: no measure
        (9, 1, 1, 1, False),
    ],
)
def test_a_sync_stops_where_the_last_weeks_together_or_growth_go_too_far(
    users, members, peak, last, stops
):
    leaving = max(0, members - users)
    found = plan(members, leaving, users=users, entering=max(0, users - members))
    if not stops:
        check_safety(found, SAFE, peak, last)
        return
    with pytest.raises(SegmentStopped, match="nothing was uploaded"):
        check_safety(found, SAFE, peak, last)
