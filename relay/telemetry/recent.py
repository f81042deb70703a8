"""The last dead letters and the last lines that ask for attention, for /status and the page.

Bounded. Facts are kept as they came and become text when somebody looks.
"""

from collections import Counter, deque
from collections.abc import Callable, Mapping
from typing import Any

from relay.telemetry.facts import Fact, FactRepeated, Level, LibraryLogged, RecordDeadLettered
from relay.wording import rfc3339

_LETTERS_MAX = 50
_EVENTS_MAX = 50
_CODES_MAX = 100  # kinds of letters that are counted apart; codes are a closed set, statuses many
_GRAVE = (Level.WARNING, Level.ERROR)


class Recent:
    """Takes every fact. `now_ms` is the wall clock, in epoch milliseconds."""

    def __init__(self, now_ms: Callable[[], int]) -> None:
        self._now_ms = now_ms
        self._letters: deque[tuple[int, RecordDeadLettered]] = deque(maxlen=_LETTERS_MAX)
        self._events: deque[tuple[int, Fact]] = deque(maxlen=_EVENTS_MAX)
        self._codes: Counter[tuple[str, str]] = Counter()
        self._last_ms: dict[tuple[str, str], int] = {}

    def take(self, fact: Fact) -> None:
        """Keep it if it is a dead letter, or grave."""
        # Dead letters have a list of their own, or the first hundred alike would push all else out.
        # Lines of libraries, and counts of what was told already, are for the log alone.
        if isinstance(fact, RecordDeadLettered):
            at = self._now_ms()
            self._letters.append((at, fact))
            kind = (fact.cls.value, fact.code)
            if kind in self._codes or len(self._codes) < _CODES_MAX:
                self._codes[kind] += 1
                self._last_ms[kind] = at
        elif fact.level in _GRAVE and not isinstance(fact, FactRepeated | LibraryLogged):
            self._events.append((self._now_ms(), fact))

    def status(self) -> Mapping[str, Any]:
        """The latest first. Positions, codes and reasons: no personal data."""
        return {
            "dead_letters": [
                {
                    "at": rfc3339(at / 1000, "seconds"),
                    "position": str(fact.position),
                    "class": fact.cls.value,
                    "code": fact.code,
                    "reason": fact.reason,
                    "attempts": fact.attempts,
                }
                for at, fact in reversed(self._letters)
            ],
            "dead_letter_codes": [
                {"class": cls, "code": code, "count": count, "last": rfc3339(at / 1000, "seconds")}
                for (cls, code), count in self._codes.most_common()
                if (at := self._last_ms[cls, code])
            ],
            "events": [
                {
                    "at": rfc3339(at / 1000, "seconds"),
                    "level": fact.level.value,
                    "event": fact.name(),
                    "said": ", ".join(
                        f"{name} {_short(value)}" for name, value in fact.log_fields()
                    ),
                }
                for at, fact in reversed(self._events)
            ],
        }


def _short(value: Any) -> str:
    match value:
        case float():
            return f"{value:.3g}"
        case tuple() if not hasattr(value, "_fields"):
            return " ".join(str(item) for item in value[:4]) + (" …" if len(value) > 4 else "")  # noqa: PLR2004
        case _:
            return str(value)
