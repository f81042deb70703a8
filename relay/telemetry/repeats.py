"""Facts that come for every record → the first few alike, then a count of the others.

An interval lasts from one line of progress to the next. In each, the first `whole_max` facts of a
kind are passed on as they are; the others are counted, and told as one `FactRepeated` for the kind,
right before the line that closes the interval. What counts facts exactly is their counter.
"""

from dataclasses import dataclass, field

from relay.telemetry.facts import Alike, Fact, FactRepeated


@dataclass(frozen=True, slots=True)
class RepeatPolicy:
    """What an interval may say of one kind."""

    whole_max: int = 10
    kinds_max: int = 100
    """Kinds that are told apart; facts of further kinds are counted together."""


@dataclass(slots=True)
class _Seen:
    count: int = 0
    example: str = ""
    """Where the first one stands that was not passed on."""


@dataclass(slots=True)
class Repeats:
    """The kinds of the present interval."""

    policy: RepeatPolicy = RepeatPolicy()
    _seen: dict[tuple[str, str], _Seen] = field(default_factory=dict)

    def take(self, fact: Fact) -> list[Fact]:
        """What to say now that `fact` has come, in this order."""
        # What is said when a fact comes:
        #
        #     it closes the interval          what was only counted, then itself
        #     of its kind there is only one   itself: a change of state, an error
        #     one of the first ten alike      itself
        #     a later one                     nothing: it is counted
        if fact.closes_interval:
            return [*self._repeated(), fact]
        if fact.alike is None:
            return [fact]
        kind = self._kind(fact, fact.alike)
        seen = self._seen.setdefault(kind, _Seen())
        seen.count += 1
        if seen.count <= self.policy.whole_max:
            return [fact]
        if not seen.example:
            seen.example = str(getattr(fact, fact.alike.example))
        return []

    def _kind(self, fact: Fact, alike: Alike) -> tuple[str, str]:
        kind = (fact.name(), " ".join(str(getattr(fact, name)) for name in alike.by))
        if kind in self._seen or len(self._seen) < self.policy.kinds_max:
            return kind
        return fact.name(), "others"

    def _repeated(self) -> list[FactRepeated]:
        repeated = [
            FactRepeated(of=of, kind=kind, count=more, example=seen.example)
            for (of, kind), seen in self._seen.items()
            if (more := seen.count - self.policy.whole_max) > 0
        ]
        self._seen.clear()
        return repeated
