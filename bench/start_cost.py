"""What a start costs before it waits for Kafka: CPU, peak memory; a commit against an earlier one.

    python -m bench.start_cost [--base HEAD~1] [--rounds 15]

`relay --help`, `relay run --help`, and `relay run` with an address of Kafka where nobody listens
and no time to wait: settings, every import and the admin port, to the error. Both commits take
turns, so what else the machine does meets both. Told are the medians.
"""

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

from bench.machine import ROOT, BenchError
from bench.regress import checkout

_SETTINGS = """
kafka: {bootstrap_servers: "127.0.0.1:1", topics: [t], group_id: g, start_timeout_s: 0}
tracking: {base_url: "http://127.0.0.1:1", api_token: t, datamart_id: "1"}
admin: {port: 0}
"""
_UNREACHABLE = 4
_START = (
    "import sys; sys.path.insert(0, sys.argv.pop(1)); "
    "sys.meta_path = [f for f in sys.meta_path if 'editable' not in repr(f).lower()]; "
    "import relay.__main__; relay.__main__.entry()"
)


def cost(tree: Path, *arguments: str) -> tuple[float, float]:
    """CPU seconds and peak MB of one process of `relay`."""
    with Path(os.devnull).open("w") as nowhere:
        process = subprocess.Popen(
            [sys.executable, "-c", _START, str(tree), *arguments],
            stdout=nowhere, stderr=nowhere, cwd=tree, env={"PATH": "/usr/bin:/bin"},
        )  # fmt: skip
    _, status, used = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode not in {0, _UNREACHABLE}:
        raise BenchError(f"relay {' '.join(arguments)}: status {process.returncode}")
    return used.ru_utime + used.ru_stime, used.ru_maxrss / 1024


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(prog="bench.start_cost", description=__doc__.splitlines()[0])
    parser.add_argument("--base", default="HEAD~1", help="the commit to compare with")
    parser.add_argument("--rounds", type=int, default=15)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as home:
        config = Path(home) / "relay.yaml"
        config.write_text(_SETTINGS)
        old = checkout(given.base, Path(home) / "old")
        commands = {
            "relay --help": ("--help",),
            "relay run --help": ("run", "--help"),
            "relay run": ("run", "--config", str(config)),
        }
        for name, arguments in commands.items():
            rounds = [
                [cost(tree, *arguments) for tree in (old, ROOT)] for _ in range(given.rounds + 1)
            ][1:]  # the first warms the disk's cache
            (old_s, old_mb), (new_s, new_mb) = (
                (statistics.median(s for s, _ in found), statistics.median(mb for _, mb in found))
                for found in zip(*rounds, strict=True)
            )
            ratio = statistics.median(new[0] / old[0] for old, new in rounds)
            print(
                f"{name:16} "
                f"{old_s:.2f} → {new_s:.2f} s CPU ({(ratio - 1) * 100:+.0f} %), "
                f"{old_mb:.0f} → {new_mb:.0f} MB",
                flush=True,
            )


if __name__ == "__main__":
    try:
        main()
    except BenchError as error:
        sys.exit(f"bench.start_cost: {error}")
