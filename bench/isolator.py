"""What it costs to find lines that were rejected and that no error file names: executions counted.

python -m bench.isolator
"""

import math
import random
from bisect import bisect_left

from relay.segments.isolator import apart


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


def main() -> None:
    """Print a line for each size, with 1 % of the lines bad."""
    rng = random.Random(1)
    for lines in (1000, 10_000, 100_000, 1_000_000):
        bad = sorted(rng.sample(range(lines), lines // 100))
        each = cost(lines, bad) / len(bad)
        limit = 2 * math.log2(lines)
        print(f"{lines:>9,} lines, {len(bad):>6,} bad: {each:4.1f} each, at most {limit:.1f}")


if __name__ == "__main__":
    main()
