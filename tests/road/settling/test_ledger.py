"""The books add up after everything that can be written into them, and refuse a second fate."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relay.model import Fate
from relay.road.settling.ledger import Ledger

FATES = [*Fate, "returned"]


def close(ledger, fate, size):
    if fate == "returned":
        ledger.gave_back(size)
    else:
        ledger.settled(fate, "code", size)


@given(st.lists(st.one_of(st.integers(0, 9_999), st.sampled_from(FATES)), max_size=100))
def test_what_came_in_is_always_accounted_for(steps):
    ledger = Ledger()
    sizes = []
    for step in steps:
        if isinstance(step, int):
            ledger.took(step)
            sizes.append(step)
        elif sizes:
            close(ledger, step, sizes.pop())
        assert ledger.balanced
        assert (ledger.open, ledger.open_bytes) == (len(sizes), sum(sizes))


@pytest.mark.parametrize("first", FATES)
@pytest.mark.parametrize("second", FATES)
def test_a_second_fate_is_refused(first, second):
    ledger = Ledger()
    ledger.took(10)
    close(ledger, first, 10)
    with pytest.raises(AssertionError, match="settled twice"):
        close(ledger, second, 10)


def test_fates_are_counted_apart():
    ledger = Ledger()
    for _ in range(4):
        ledger.took(1)
    ledger.settled(Fate.DELIVERED, "", 1)
    ledger.settled(Fate.DEAD_LETTERED, "refused", 1)
    ledger.settled(Fate.SKIPPED, "no_consent", 1)
    ledger.gave_back(1)
    assert (ledger.delivered, ledger.returned) == (1, 1)
    assert ledger.dead_lettered == {"refused": 1}
    assert ledger.skipped == {"no_consent": 1}


def test_a_book_that_does_not_add_up_says_so():
    ledger = Ledger()
    ledger.took(1)
    ledger.taken += 1
    assert not ledger.balanced
