"""Sink log + what was produced → what a contender in fact did. Knows nothing of any contender.

    python -m bench.judge --log sink.log --expected expected.json [--json]

- **lost**: events that the sink never answered with 200.
- **repeated**: acceptances of an event that had been accepted before.
- **order breaks**: events whose first acceptance came after that of a later event of the same
  user.
- **overlaps**: requests that arrived while another of the same user was still unanswered. One
  that keeps no breaks and has overlaps was lucky: a slower server would have shown it.

Exit status 1 when something was lost.
"""

import argparse
import json
import sys
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from operator import attrgetter
from pathlib import Path
from typing import NamedTuple

ACCEPTED = 200


class Request(NamedTuple):
    """A line of the sink's log; markers are (user, number, created µs)."""

    arrived_us: int
    answered_us: int
    status: int
    markers: tuple[tuple[int, int, int], ...]


@dataclass(frozen=True)
class Judgement:
    """What was found. Times in seconds; lateness is from an event's creation to its arrival."""

    expected: int
    accepted: int
    lost: int
    unexpected: int
    repeated: int
    order_breaks: int
    overlaps: int
    requests: int
    statuses: dict[str, int]
    events_per_request: float
    seconds: float
    events_per_second: float
    lateness_p50_s: float
    lateness_p99_s: float

    @property
    def guarantee(self) -> str:
        """The guarantee that was kept, in words for a table."""
        loss = "nothing lost" if self.lost == 0 else f"{self.lost:,} lost"
        if self.order_breaks:
            order = f"order broken {self.order_breaks:,} times"
        elif self.overlaps:
            order = "order by luck"
        else:
            order = "order per user"
        return f"{order}, {loss}, {self.repeated:,} repeated"


def read(lines: Iterable[str]) -> Iterator[Request]:
    """The requests of a sink's log."""
    for line in lines:
        arrived, answered, status, _bytes, *rest = line.split()
        markers = rest[0].split(",") if rest else ()
        yield Request(int(arrived), int(answered), int(status), tuple(map(_marker, markers)))


def judge(requests: Iterable[Request], expected: Sequence[int]) -> Judgement:
    """Compares what arrived with how many events each user had."""
    seen = [bytearray(count) for count in expected]
    highest = [-1] * len(expected)
    busy_until = [0] * len(expected)
    statuses: Counter[int] = Counter()
    accepted = unexpected = repeated = breaks = overlaps = carried = 0
    late: list[int] = []
    first_us = last_us = 0
    for request in sorted(requests, key=attrgetter("arrived_us", "answered_us")):
        statuses[request.status] += 1
        first_us = first_us or request.arrived_us
        last_us = max(last_us, request.answered_us)
        for user in {user for user, _, _ in request.markers if user < len(expected)}:
            overlaps += request.arrived_us < busy_until[user]
            busy_until[user] = max(busy_until[user], request.answered_us)
        if request.status != ACCEPTED:
            continue
        for user, number, created_us in request.markers:
            carried += 1
            if user >= len(expected) or number >= expected[user]:
                unexpected += 1
            elif seen[user][number]:
                repeated += 1
            else:
                seen[user][number] = 1
                accepted += 1
                breaks += number < highest[user]
                highest[user] = max(highest[user], number)
                late.append(request.arrived_us - created_us)
    late.sort()
    seconds = (last_us - first_us) / 1e6
    good = statuses[ACCEPTED]
    return Judgement(
        expected=sum(expected),
        accepted=accepted,
        lost=sum(expected) - accepted,
        unexpected=unexpected,
        repeated=repeated,
        order_breaks=breaks,
        overlaps=overlaps,
        requests=statuses.total(),
        statuses={str(status): count for status, count in sorted(statuses.items())},
        events_per_request=carried / good if good else 0.0,
        seconds=seconds,
        events_per_second=accepted / seconds if seconds else 0.0,
        lateness_p50_s=_percentile(late, 0.50),
        lateness_p99_s=_percentile(late, 0.99),
    )


def _marker(text: str) -> tuple[int, int, int]:
    user, number, created = text.split(":")
    return int(user), int(number), int(created)


def _percentile(sorted_us: Sequence[int], share: float) -> float:
    """The nearest-rank percentile, in seconds."""
    if not sorted_us:
        return 0.0
    return sorted_us[min(len(sorted_us) - 1, int(share * len(sorted_us)))] / 1e6


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(prog="bench.judge", description=__doc__.splitlines()[0])
    parser.add_argument("--log", type=Path, required=True)
    parser.add_argument("--expected", type=Path, required=True)
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    with given.log.open() as lines:
        found = judge(read(lines), json.loads(given.expected.read_text()))
    if given.json:
        print(json.dumps(asdict(found) | {"guarantee": found.guarantee}))
    else:
        print(found.guarantee)
        for name, value in asdict(found).items():
            print(f"  {name:20} {value}")
    sys.exit(1 if found.lost else 0)


if __name__ == "__main__":
    main()
