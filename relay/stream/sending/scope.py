"""What an answer is about: a record, its user, a route, or everything. Pure decisions.

The narrowest scope that explains what other requests met lately. Cases, the first that holds:

    | the answer     | what others met lately                     | about      | so                |
    |----------------|--------------------------------------------|------------|-------------------|
    | refused until  | only users are refused who were just       | the user   | the user waits    |
    | later (429)    | served: each has a limit of their own      |            |                   |
    | the same       | some on this route were accepted, after    | the user   | the user waits    |
    |                | the first of as many refusals as are out   |            |                   |
    | the same       | none on this route was; another route      | the route  | the route waits   |
    |                | accepts, or did so last                    |            |                   |
    | the same       | none was on any route in use               | everything | all wait          |
    | a wrong token  | nothing was ever accepted                  | everything | held: probes only |
    | or address     |                                            |            |                   |
    | 401            | this user did not meet it before           | everything | held: probes only |
    | that, or none, | some on this route were accepted, after    | the record | it is counted     |
    | or a 5xx       | the first of the row (see `RowPolicy`)     |            | against it        |
    | the same       | none on this route was; another route      | the route  | probes only       |
    |                | accepts, or did so last                    |            |                   |
    | the same       | none was on any route in use               | everything | probes only       |
    | refused for    | nearly all records are                     | everything | held: probes only |
    | good (400)     | (`relay.stream.sending.brake`)             |            |                   |
    | the same       | others are accepted                        | the record | a dead letter     |

A user is a lane here: one request at a time. A route is the kind of a request. The destination is a
datamart, so "everything" and "a datamart" are one scope.
"""

from collections.abc import Hashable, Iterable
from enum import StrEnum
from typing import NamedTuple

from relay.model import VerdictKind


class Scope(StrEnum):
    """From the narrowest to the widest."""

    RECORD = "record"
    USER = "user"
    ROUTE = "route"
    EVERYTHING = "everything"


class RowPolicy(NamedTuple):
    """When failures in a row say more than that some records fail.

    Failures come back sooner than successes: of 200 requests that left together the few that fail
    land in a row. So the row must be as long as what is out. And where little is sent, one bad
    record may make a row on its own: then it takes `alone_s` as well.
    """

    failures: int = 5
    alone_s: float = 15.0


ASKED_MIN = 3  # Refusals in a row before they are about more than a user: one or two are chance.


class Lately:
    """What the answers of one route were lately."""

    __slots__ = ("_row_lane", "_row_mixed", "_row_since", "accepted", "asked", "row")

    def __init__(self) -> None:
        self.accepted = 0
        """How many were, in all; a refusal of the API itself is counted: it has spoken."""
        self.row = 0
        """Failures since the last one that was accepted."""
        self.asked = 0
        """Refusals until later since the last one that was accepted."""
        self._row_since = 0.0
        self._row_lane: Hashable | None = None
        self._row_mixed = False

    @property
    def used(self) -> bool:
        """Whether anything is known of this route."""
        return self.accepted > 0 or self.last_was_bad

    @property
    def last_was_bad(self) -> bool:
        """Whether the last answer was a failure, or asked to wait."""
        return self.row > 0 or self.asked > 0

    def accepts(self) -> None:
        """A request was accepted."""
        self.accepted += 1
        self.row = self.asked = 0

    def asks(self) -> None:
        """A request was refused until later."""
        self.asked += 1

    def fails(self, lane: Hashable | None, now: float) -> None:
        """A request failed, for a reason that may be anybody's."""
        if not self.row:
            self._row_since, self._row_lane, self._row_mixed = now, lane, lane is None
        self.row += 1
        self._row_mixed |= lane != self._row_lane

    def row_explains(self, policy: RowPolicy, in_flight: int, now: float) -> bool:
        """Whether the failures in a row say more than that some records fail."""
        lasts = now - self._row_since >= policy.alone_s
        return self.row >= max(policy.failures, in_flight) and (lasts or self._row_mixed)


def scope_of(  # noqa: PLR0917 - all that others met
    kind: VerdictKind,
    route: Lately,
    others: Iterable[Lately],
    policy: RowPolicy,
    in_flight: int,
    now: float,
    *,
    each_user: bool = False,
    token: bool = False,
) -> Scope:
    """The scope of an answer that is already counted in `route`. Cases: the module's docstring.

    `others` are the other routes, `in_flight` is what is under way on this one, with it;
    `each_user`: only users are refused who were just served; `token`: the token is not accepted,
    and this user did not meet that before. (One whose requests alone are answered so, by something
    in between, does not hold the others again and again.)
    """
    rest = [other for other in others if other.used]
    if kind is VerdictKind.THROTTLED:
        if each_user or route.asked < max(ASKED_MIN, in_flight):
            return Scope.USER
    elif token:
        return Scope.EVERYTHING
    elif kind is VerdictKind.MISCONFIGURED and not route.accepted:
        if not any(other.accepted for other in rest):
            return Scope.EVERYTHING
        return Scope.ROUTE
    elif not route.row_explains(policy, in_flight, now):
        return Scope.RECORD
    return Scope.EVERYTHING if all(other.last_was_bad for other in rest) else Scope.ROUTE
