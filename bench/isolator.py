"""What it costs to find lines that were rejected and that no error file names: executions counted.

    python -m bench.isolator                                # by calculation, 1 % of the lines bad
    python -m bench.isolator --users 100000 --share 0.01    # a sync against the sandbox, in one run
    python -m bench.isolator --users 1000000 --share 0.01 --named

A sync is judged by the sandbox, user by user; waiting costs no time, on a clock that is moved.
"""

import argparse
import asyncio
import math
import random
import sys
import tempfile
import time
from bisect import bisect_left
from pathlib import Path

from relay.segments.isolator import apart
from relay.segments.members import ExpiryPolicy
from tests.support.segment_sync import Syncs
from tests.support.segment_world import START_MS, world

SEED = 1


def cost(lines: int, bad: list[int]) -> int:
    """Executions until each of the bad lines (sorted) stands in a piece of its like."""
    executions, waiting = 0, [range(lines)]
    while waiting:
        piece = waiting.pop()
        executions += 1
        rejected = bisect_left(bad, piece.stop) - bisect_left(bad, piece.start)
        if 0 < rejected < len(piece):
            waiting += [piece[p[0] : p[-1] + 1] for p in apart(len(piece), rejected)]
    return executions


def calculate() -> None:
    """Print a line for each size, with 1 % of the lines bad."""
    rng = random.Random(1)
    for lines in (1000, 10_000, 100_000, 1_000_000):
        bad = sorted(rng.sample(range(lines), lines // 100))
        each = cost(lines, bad) / len(bad)
        limit = 2 * math.log2(lines)
        print(f"{lines:>9,} lines, {len(bad):>6,} bad: {each:4.1f} each, at most {limit:.1f}")


def is_bad(user: str, share: float) -> bool:
    """Whether the sandbox rejects this user."""
    key = ("user_account_id", "1000", user)
    return random.Random(f"{SEED}:{key}").random() < share


async def sync(count: int, share: float, *, named: bool) -> list[str]:
    """One sync of so many users, of whom a share is rejected; what is wrong afterwards."""
    users = [f"u-{number}" for number in range(count)]
    good = {user for user in users if not is_bad(user, share)}
    bad = count - len(good)
    with tempfile.TemporaryDirectory(prefix="relay-bench-") as directory:
        async with world() as here:
            await here.put(
                "imports", seed=SEED, reject_rate=share, pending_ms=0, running_ms=0,
                error_file="document" if named else "none",
            )  # fmt: skip
            began = time.perf_counter()
            # The clock is moved by weeks: nobody may leave because time is over.
            report = await Syncs(here, Path(directory), expiry=ExpiryPolicy(0, 0)).run(users)
            waited_s = (here.clock.ms - START_MS) // 1000
            seconds = time.perf_counter() - began
            inside = set(await here.members("7"))
    each = report.executions / max(bad, 1)
    print(
        f"{count:>9,} users, {bad:>6,} rejected, {'named' if named else 'not named'}: "
        f"{report.executions:,} executions in one run, {each:.1f} for each "
        f"(at most {2 * math.log2(count):.1f}), {seconds:.0f} s, and {waited_s:,} s of waits that "
        f"cost no time; {report.members:,} members, {report.unsure} unsure",
        flush=True,
    )
    wrong = [] if inside == good else [f"{len(inside ^ good)} members differ"]
    if (report.outcome, report.rejected, report.unsure) != ("done", bad, 0):
        wrong.append(f"{report.outcome}: {report.rejected} found of {bad}, {report.unsure} unsure")
    return wrong


def main() -> None:
    """Calculate, or measure and judge."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--users", type=int, help="run a sync of so many")
    parser.add_argument("--share", type=float, default=0.01, help="of them are rejected")
    parser.add_argument("--named", action="store_true", help="by the error file")
    options = parser.parse_args()
    if options.users is None:
        calculate()
        return
    wrong = asyncio.run(sync(options.users, options.share, named=options.named))
    for problem in wrong:
        print(f"WRONG: {problem}")
    sys.exit(1 if wrong else 0)


if __name__ == "__main__":
    main()
