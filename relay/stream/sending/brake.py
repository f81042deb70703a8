"""Records refused, one after another → whether to stop before the topic is emptied into letters.

A refusal is about its record, and a few are normal. When nearly all are refused, something else is
wrong (the mapping, a producer's release, the API), and dead letters by the thousand help nobody.
"""

from pydantic import Field

from relay.section import Section


class BrakePolicy(Section):
    """When so many records are refused that it is not about the records.

    Then the stream is held, and records are tried one at a time until the API accepts one. Without
    this, a defect in a mapping or at the API would empty the topic into the dead letters.
    """

    share: float = Field(
        0.9, gt=0, le=1, description="Share of refused records, of those decided lately."
    )
    number: int = Field(
        200,
        ge=0,
        le=1_000_000,
        description="How many records must have been decided before the share counts; this many "
        "are dead-lettered at most before the stream is held. 0 never holds it.",
    )


class Brake:
    """Counts what the API decided. Costs nothing while nothing is refused."""

    def __init__(self, policy: BrakePolicy) -> None:
        self._policy = policy
        self._number = policy.number
        self.refused = 0
        """Lately; while it is 0, acceptances need not be told."""
        self._accepted = 0

    def accepted(self) -> None:
        """A record was accepted."""
        if not self.refused:
            return
        self._accepted += 1
        if self.refused + self._accepted >= 2 * self._policy.number:
            # Lately nothing was wrong for long enough: all is as at the beginning.
            self.refused = self._accepted = 0
            self._number = self._policy.number

    def refuses(self) -> bool:
        """A record was refused. Returns whether to stop instead of dead-lettering it.

        After a stop that one accepted record ended, the next stop comes sooner each time: a stream
        in which every tenth record is good is not emptied either.
        """
        if not self._policy.number:
            return False
        self.refused += 1
        # With `n` the number, `share` the share, and the refused among those decided lately:
        #
        #     not more than n decided    go on: too few to say
        #     less than half the share   go on; n is doubled, up to the setting; the counts are
        #                                halved, so that what was long ago fades
        #     less than the share        go on; the counts are halved
        #     the share, or more         stop; n is halved, so the next stop needs half as many
        decided = self.refused + self._accepted
        if decided <= self._number:
            return False
        if self.refused < self._policy.share * decided:
            if 2 * self.refused < self._policy.share * decided:
                self._number = min(self._policy.number, 2 * self._number)
            self.refused //= 2
            self._accepted //= 2
            return False
        self._number = max(1, self._number // 2)
        self.refused = 1
        self._accepted = 0
        return True
