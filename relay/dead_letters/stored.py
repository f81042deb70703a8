"""A record of the dead-letter topic → what died, where, why, and how often. Pure."""

from dataclasses import dataclass, field

from relay.model import Header, Position
from relay.road.settling.dead_letter import Cut, Envelope, opened


@dataclass(frozen=True, slots=True)
class StoredLetter:
    """A dead letter as it lies there. Its `repr` shows no key, value or header."""

    position: Position
    """Where it lies, in the dead-letter topic."""
    died_ms: int
    key: bytes | None = field(repr=False)
    value: bytes | None = field(repr=False)
    headers: tuple[Header, ...] = field(repr=False)
    """All of them: the original's, and an envelope for each death."""

    @property
    def original_headers(self) -> tuple[Header, ...]:
        """The headers that the record had when it first came."""
        return opened(self.headers)[0]

    @property
    def history(self) -> tuple[Envelope, ...]:
        """Its deaths, the first one first; none for a record that relay did not write."""
        return opened(self.headers)[1]


@dataclass(frozen=True, slots=True)
class OwnLetter:
    """A stored record that relay wrote, with its last death at hand."""

    stored: StoredLetter
    deaths: tuple[Envelope, ...]

    @property
    def last(self) -> Envelope:
        """Why it lies here."""
        return self.deaths[-1]

    @property
    def cut(self) -> Cut | None:
        """What it was, when only a part of the record could be kept: it cannot be sent again."""
        return self.last.cut

    @property
    def origin(self) -> Position:
        """Where the record stood when it first came."""
        return self.deaths[0].position


def letter(stored: StoredLetter) -> OwnLetter | None:
    """None for what somebody else put into the topic: nobody knows where it should go."""
    deaths = stored.history
    return OwnLetter(stored, deaths) if deaths else None
