"""Every step of closing is taken; the first error is the one that counts."""

import asyncio

import pytest

from relay.road.steps import each


def step(taken, name, error=None):
    async def take():
        taken.append(name)
        if error is not None:
            raise error

    return take


def test_every_step_is_taken_and_the_first_error_is_handed_back():
    taken = []
    first, second = ValueError("first"), KeyError("second")
    steps = step(taken, "a"), step(taken, "b", first), step(taken, "c", second), step(taken, "d")
    assert asyncio.run(each(*steps)) is first
    assert taken == ["a", "b", "c", "d"]


def test_without_an_error_nothing_is_handed_back():
    assert asyncio.run(each(step([], "a"))) is None


def test_a_cancellation_ends_the_rest():
    taken = []
    with pytest.raises(asyncio.CancelledError):
        asyncio.run(each(step(taken, "a", asyncio.CancelledError()), step(taken, "b")))
    assert taken == ["a"]
