"""Waiting activities of one user → one activity with all their events, when that changes nothing.

A backlog then makes the sender faster and not slower. Only activities whose envelopes are equal
byte for byte join, and only where mapping says that the platform puts them together anyway.
"""

import hashlib
from collections.abc import Sequence

from pydantic import Field

from relay.model import Activity
from relay.section import Section


class CoalescingPolicy(Section):
    """Waiting events of one user travelling as one activity, where the platform joins them anyway.

    That is the session status `IN_SESSION`; others never travel together.
    """

    events_max: int = Field(
        50, ge=1, le=1000, description="Most events in one activity; 1 turns coalescing off."
    )
    span_s: float = Field(
        60.0, ge=0, le=1800, description="Longest time between the first and the last of them."
    )
    bytes_max: int = Field(
        262_144, ge=1024, le=10_485_760, description="Most bytes of events in one activity."
    )


class Load:
    """Activities that travel together. Keeps count, so that the next costs what the first did."""

    def __init__(self, policy: CoalescingPolicy, first: Activity) -> None:
        self._policy = policy
        self._first = first
        self._events = len(first.events)
        self._bytes = sum(map(len, first.events))

    def takes(self, candidate: Activity, *, of_one_record: bool = False) -> bool:
        """Whether `candidate` may travel behind those it has; if so, it has it now.

        Events of one record may lie further apart than others: their producer put them together.
        """
        policy, first = self._policy, self._first
        events = self._events + len(candidate.events)
        size = self._bytes + sum(map(len, candidate.events))
        if (
            first.mergeable
            and candidate.mergeable
            and events <= policy.events_max
            and size <= policy.bytes_max
            and first.envelope == candidate.envelope
            and (of_one_record or abs(candidate.ts_ms - first.ts_ms) <= policy.span_s * 1000)
        ):
            self._events, self._bytes = events, size
            return True
        return False


def merge(members: Sequence[Activity]) -> Activity:
    """One activity for two or more: the time of the first, the events in order, a key of its own.

    The key is a function of the keys of all members. It must not be the first member's: a platform
    that ignores a known key would then lose what joined on a later attempt.
    """
    first = members[0]
    return Activity(
        envelope=first.envelope,
        ts_ms=min([m.ts_ms for m in members]),
        unique_key=_key(members),
        events=tuple([event for m in members for event in m.events]),
        user=first.user,
        mergeable=True,
    )


def _key(members: Sequence[Activity]) -> str | None:
    # No key, if one of them has none: a key of only some would make the others look known.
    keys = [m.unique_key for m in members if m.unique_key is not None]
    if len(keys) < len(members):
        return None
    digest = hashlib.blake2b("".join(keys).encode("ascii"), digest_size=8).digest()
    # Keeps the version-1 shape: the time fields of the first, the rest from all.
    clock = (int.from_bytes(digest[:2], "big") & 0x3FFF) | 0x8000
    return f"{keys[0][:18]}-{clock:04x}-{digest[2:].hex()}"
