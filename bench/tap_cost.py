"""What a tap costs: instructions an event, in the engine alone, counted by callgrind.

    python -m bench.tap_cost [--events 2000]

Making the events is measured apart and subtracted. `never` knows no tap; `closed` had one that is
closed again; `open` has one that takes ten samples a second of a thousand events. The events are
those of `bench.regress`, 64 of them under way.
"""

import argparse
import re
import subprocess
import sys

from bench.machine import ROOT, BenchError

_PROGRAM = """
import sys
from bench import regress
from relay.stream import engine as engines
how = {how!r}
if how in ("closed", "open"):
    from relay.stream.tap import Tap
    from relay.telemetry.samples import Wanted
    class Tapped(engines.Engine):
        def __init__(self, *given):
            super().__init__(*given)
            tap = Tap(self, lambda: self._steady)
            self._steady = 0.0
            close = tap.open(Wanted(rate=10.0), lambda sample: None)
            if how == "closed":
                close()
        def next_flight(self, now):
            self._steady = now.steady
            return super().next_flight(now)
else:
    class Tapped(engines.Engine):
        _steady = 0.0
        def next_flight(self, now):
            self._steady = now.steady
            return super().next_flight(now)
engines.Engine = Tapped
regress.drive({events}, "none" if how == "making" else "engine")
"""


def instructions(how: str, events: int) -> int:
    """Of a whole process."""
    program = _PROGRAM.format(how=how, events=events)
    command = ["valgrind", "--tool=callgrind", "--callgrind-out-file=/dev/null", sys.executable]
    done = subprocess.run(
        [*command, "-c", program], check=False, capture_output=True, text=True, cwd=ROOT,
        env={"PATH": "/usr/bin:/bin", "PYTHONHASHSEED": "0", "PYTHONPATH": str(ROOT)},
    )  # fmt: skip
    if done.returncode != 0:
        raise BenchError(done.stderr[-800:])
    return int(re.findall(r"Collected : (\d+)", done.stderr)[0])


def each_of(how: str, events: int) -> float:
    """Instructions an event: those of twice as many, less those of the first half."""
    return (instructions(how, 2 * events) - instructions(how, events)) / events


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(prog="bench.tap_cost", description=__doc__.splitlines()[0])
    parser.add_argument("--events", type=int, default=2000)
    events = parser.parse_args().events
    instructions("never", 1)  # compiles what is not compiled yet
    making = each_of("making", events)
    base = 0.0
    for how in ("never", "closed", "open"):
        each = each_of(how, events) - making
        base = base or each
        print(f"{how:7} {each:10.0f} instructions an event ({(each / base - 1) * 100:+.2f} %)")


if __name__ == "__main__":
    try:
        main()
    except BenchError as error:
        sys.exit(f"bench.tap_cost: {error}")
