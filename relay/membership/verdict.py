"""What an execution says → what became of each line of its file. Pure.

The format of an error file is documented nowhere, so a line counts as rejected only when file and
counts agree: as many lines are named as the platform counts, and each of them without doubt. What
cannot be told is said to be unclear, with the lines that may be meant.
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from relay.apis.mediarithmics_document_imports import Execution, Phase
from relay.membership.mapping import Member
from relay.segments.rejections import Rejection

REJECTED = "rejected by the import"


@dataclass(frozen=True, slots=True)
class Landed:
    """Every line was taken or rejected; for each the reason, or None."""

    reasons: tuple[str | None, ...]


@dataclass(frozen=True, slots=True)
class Unclear:
    """Some lines were rejected, and which is not known; the places of those that may be meant."""

    suspects: frozenset[int]


@dataclass(frozen=True, slots=True)
class Failed:
    """Nothing is known of any line."""

    reason: str


def read(
    execution: Execution,
    members: Sequence[Member],
    rejections: Iterable[Rejection],
    *,
    verify_counts: bool,
) -> Landed | Unclear | Failed:
    """What became of each line; `members` says whom each is about, in the order of the file."""
    lines = len(members)
    failure = _failure(execution, lines, verify_counts=verify_counts)
    if failure is not None:
        return failure
    known, suspects = _named(members, rejections)
    rejected = execution.failed
    if rejected == lines:
        known = dict.fromkeys(range(lines), REJECTED) | known
    # Without counts there is nothing to hold the file's word against: it is believed.
    elif rejected is not None and (len(known) != rejected or not suspects <= known.keys()):
        return Unclear(frozenset(known.keys() | suspects))
    return Landed(tuple(known.get(place) for place in range(lines)))


def _failure(execution: Execution, lines: int, *, verify_counts: bool) -> Failed | None:
    """Why nothing of what the execution says can be used."""
    if execution.phase is not Phase.SUCCEEDED:
        words = f": {execution.error}" if execution.error else ""
        return Failed(f"the execution ended as {execution.status}{words}")
    taken, rejected = execution.succeeded, execution.failed
    if taken is None or rejected is None:
        unsaid = "the platform does not say how many lines it took"
        return Failed(unsaid) if verify_counts else None
    if taken + rejected != lines:
        return Failed(
            f"{lines} lines were sent, the platform counts {taken} taken and {rejected} rejected"
        )
    return None


def _named(
    members: Sequence[Member], rejections: Iterable[Rejection]
) -> tuple[dict[int, str], set[int]]:
    """Lines that the file names without doubt, with the reason; and those that it may mean."""
    places: defaultdict[str, list[int]] = defaultdict(list)
    for place, ((_, _, identifier), _) in enumerate(members):
        places[identifier].append(place)
    known: dict[int, str] = {}
    suspects: set[int] = set()
    for rejection in rejections:
        meant = places.get(rejection.user or "", [])
        if rejection.segment is not None and len(meant) > 1:
            meant = [place for place in meant if members[place][1][1] == rejection.segment]
        if len(meant) == 1:
            words = f": {rejection.reason}" if rejection.reason else ""
            known[meant[0]] = REJECTED + words
            continue
        suspects.update(meant)
        # Counted from 1, most likely; whoever is wrongly suspected only flies apart.
        if not meant and rejection.line is not None and 0 < rejection.line <= len(members):
            suspects.add(rejection.line - 1)
    return known, suspects
