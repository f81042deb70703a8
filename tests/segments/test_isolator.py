"""A file with bad lines is taken apart until they are known, at a bounded price."""

import math

from hypothesis import given
from hypothesis import strategies as st

from relay.segments.isolator import apart


def isolated(lines, bad):
    """The bad lines, found by counts alone, and what was sent for it."""
    executions, found, waiting = 0, set(), [list(range(lines))]
    while waiting:
        piece = waiting.pop()
        executions += 1
        rejected = sum(line in bad for line in piece)
        if rejected == len(piece):
            found |= set(piece)
        elif rejected:
            waiting += [[piece[place] for place in part] for part in apart(len(piece), rejected)]
    return found, executions


@given(
    st.integers(1, 3000).flatmap(lambda n: st.tuples(st.just(n), st.sets(st.integers(0, n - 1))))
)
def test_the_bad_lines_are_found_and_no_other_is_blamed(case):
    lines, bad = case
    assert isolated(lines, bad)[0] == bad


@given(
    st.integers(16, 20_000).flatmap(
        lambda n: st.tuples(st.just(n), st.sets(st.integers(0, n - 1), min_size=1, max_size=30))
    )
)
def test_each_costs_at_most_two_executions_for_each_halving(case):
    lines, bad = case
    assert isolated(lines, bad)[1] <= 1 + 2 * math.ceil(math.log2(lines)) * len(bad)


@given(st.integers(2, 500), st.integers(1, 500), st.sets(st.integers(-5, 600)))
def test_pieces_hold_every_line_once_and_none_is_the_whole(lines, rejected, named):
    pieces = apart(lines, rejected, named)
    assert sorted(place for piece in pieces for place in piece) == list(range(lines))
    assert all(0 < len(piece) < lines for piece in pieces)


def test_what_an_error_file_names_flies_apart_from_the_rest():
    assert apart(6, 2, {1, 4}) == [[1, 4], [0, 2, 3, 5]]
    assert apart(4, 1, {0, 1, 2}) == [range(2), range(2, 4)]  # more than were rejected
