"""What an execution says → what became of each line of its file. Pure.

The format of an error file is documented nowhere, so a line counts as rejected only when file and
counts agree: as many lines are named as the platform counts, and each of them without doubt. What
cannot be told is taken apart.
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from relay.membership.mapping import Member
from relay.segments.outcome import REJECTED, Landed, Unclear
from relay.segments.rejections import Rejection


@dataclass(frozen=True, slots=True)
class Settled:
    """Every line was taken or rejected; for each the reason, or None."""

    reasons: tuple[str | None, ...]


@dataclass(frozen=True, slots=True)
class Apart:
    """So many lines were rejected, and which is not known; `named` are places that may be meant."""

    rejected: int
    named: frozenset[int]


def read(
    outcome: Landed | Unclear, members: Sequence[Member], rejections: Iterable[Rejection]
) -> Settled | Apart:
    """What became of each line; `members` says whom each is about, in the order of the file."""
    known, doubtful = _named(members, rejections)
    rejected = outcome.rejected
    if rejected == len(members):
        known = dict.fromkeys(range(rejected), REJECTED) | known
    # Without counts there is nothing to hold the file's word against: it is believed.
    elif outcome.execution.failed is not None and (len(known) != rejected or doubtful):
        return Apart(rejected, frozenset(known.keys() | doubtful))
    return Settled(tuple(known.get(place) for place in range(len(members))))


def _named(
    members: Sequence[Member], rejections: Iterable[Rejection]
) -> tuple[dict[int, str], set[int]]:
    """Lines that the file names without doubt, with the reason; and those that it may mean."""
    places: defaultdict[str, list[int]] = defaultdict(list)
    for place, ((_, _, identifier), _) in enumerate(members):
        places[identifier].append(place)
    known: dict[int, str] = {}
    doubtful: set[int] = set()
    for rejection in rejections:
        meant = places.get(rejection.user or "", [])
        if rejection.segment is not None and len(meant) > 1:
            meant = [place for place in meant if members[place][1][1] == rejection.segment]
        if len(meant) == 1:
            words = f": {rejection.reason}" if rejection.reason else ""
            known[meant[0]] = REJECTED + words
        else:
            doubtful.update(meant)
    return known, doubtful - known.keys()
