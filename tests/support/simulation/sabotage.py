"""Fail the N-th call of one kind, to see that every place where it may fail is provided for."""

from relay.errors import KafkaRefused, KafkaUnreachable
from relay.model import Answer, NoAnswer
from relay.road.consuming.source import CommitRefused

_LOST = Answer(0, no_answer=NoAnswer.BROKEN, detail="connection closed")

FAILURES = {
    # Documented as the end of the process: a supervisor starts another.
    "poll": KafkaUnreachable("the broker went away"),
    "committed": KafkaUnreachable("the coordinator does not answer"),
    # Documented as a commit that is made again.
    "commit": KafkaUnreachable("the broker did not confirm"),
    "commit_done": KafkaUnreachable("the broker confirmed, and nobody heard"),
    "commit_refused": CommitRefused("the group has moved on"),
    # Documented as a hold, until the letters are confirmed.
    "write": KafkaRefused("not authorised to write"),
    "write_done": KafkaRefused("written, and nobody heard"),
    # Documented as an answer: no exception leaves the wire.
    "send": _LOST,
    "send_done": _LOST,
}
"""By name of the call; `…_done` fails after it has done its work."""


class Sabotage:
    """Counts calls; the `nth` of the kind `call` fails."""

    def __init__(self, call="", nth=0):
        self.call = call
        self.nth = nth
        self.count = 0

    @property
    def happened(self):
        return self.count >= self.nth

    def due(self, call):
        """The failure that is due at this call, or None."""
        if call != self.call:
            return None
        self.count += 1
        return FAILURES[call] if self.count == self.nth else None

    def strike(self, call):
        """Raise the failure that is due at this call."""
        if (failure := self.due(call)) is not None:
            raise failure
