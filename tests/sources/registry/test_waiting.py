from random import Random

import pytest

from relay.sources.registry.waiting import AskAgain, Outcome, Patience, Unknown, Wait
from tests.support.schemas import registry_policy

POLICY = registry_policy("http://r", retry_s=1, retry_s_max=8, unknown_wait_s=10, unknown_for_s=100)


@pytest.fixture
def patience():
    return Patience(POLICY)


def a_wait(patience):
    return Wait(POLICY, patience, Random(1))


def test_a_registry_that_cannot_be_asked_is_asked_again_without_an_end_and_ever_less(patience):
    wait = a_wait(patience)
    pauses = [wait.after(Outcome.UNAVAILABLE, now).after_s for now in range(50)]
    assert all(
        ceiling / 2 <= pause <= ceiling
        for pause, ceiling in zip(pauses[:5], [1, 2, 4, 8, 8], strict=True)
    )
    assert all(4 <= pause <= 8 for pause in pauses[4:])


def test_what_the_registry_asks_for_is_honoured_within_limits(patience):
    wait = a_wait(patience)
    asked = [wait.after(Outcome.UNAVAILABLE, 0, after).after_s for after in (3.0, 0.0, 999.0)]
    assert asked == [3.0, 1, 8]


def test_an_unknown_id_is_waited_for_and_the_last_word_is_an_answer(patience):
    wait = a_wait(patience)
    assert isinstance(wait.after(Outcome.NOT_FOUND, 0), AskAgain)
    last = wait.after(Outcome.NOT_FOUND, 9.9)
    assert last.after_s == pytest.approx(0.1)
    # The registry goes away meanwhile: that is no answer, however long it takes.
    assert isinstance(wait.after(Outcome.UNAVAILABLE, 500), AskAgain)
    assert wait.after(Outcome.NOT_FOUND, 501) == Unknown()


def test_after_a_wait_in_vain_no_other_unknown_id_is_waited_for_until_some_time_has_passed(
    patience,
):
    first = a_wait(patience)
    first.after(Outcome.NOT_FOUND, 0)
    assert first.after(Outcome.NOT_FOUND, 10) == Unknown()
    assert a_wait(patience).after(Outcome.NOT_FOUND, 50) == Unknown()
    assert isinstance(a_wait(patience).after(Outcome.NOT_FOUND, 110), AskAgain)


def test_an_id_that_came_while_it_was_waited_for_shows_that_waiting_pays(patience):
    came = a_wait(patience)
    came.after(Outcome.NOT_FOUND, 0)
    vain = a_wait(patience)
    vain.after(Outcome.NOT_FOUND, 0)
    assert vain.after(Outcome.NOT_FOUND, 10) == Unknown()
    came.found()
    assert isinstance(a_wait(patience).after(Outcome.NOT_FOUND, 11), AskAgain)
