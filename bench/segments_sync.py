"""`relay segments sync` of a large segment: time, memory and bytes; and what `kill -9` does to it.

    python -m bench.segments_sync                      # 1,000,000 users, then 1 % changes
    python -m bench.segments_sync --against DIR        # in turns with the relay of another checkout
    python -m bench.segments_sync --users 100000 --kills 20

All judge by the sandbox's own count, user by user, and exit with 1 when something is wrong.
"""

import argparse
import random
import shutil
import sys
import time
from pathlib import Path

from bench.segment_stage import Ended, Stage, people, stage, sync

MEMORY_MB_MAX = 250
# What a member may be off by: the processing time of an import.
SLACK_MS = 600_000
WEEK_MS = 7 * 86_400_000


def main() -> None:
    """Measure, print, judge."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--users", type=int, default=1_000_000)
    parser.add_argument("--kills", type=int, default=0, help="kill so many syncs, do not measure")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--against", type=Path, help="directory of another checkout")
    parser.add_argument("--first", action="store_true", help="the first sync only")
    parser.add_argument("--rounds", type=int, default=1, help="how often each is measured")
    options = parser.parse_args()
    codes = [None, *([options.against.absolute()] if options.against else [])]
    with stage() as vendors:
        if options.kills:
            wrong = kill(vendors, options.users, options.kills, options.seed)
        else:
            wrong = []
            for number in range(options.rounds):
                for code in codes if number % 2 else reversed(codes):
                    print(f"-- {code.name if code else 'this checkout'}", flush=True)
                    wrong += measure(vendors, options, code)
    for problem in wrong:
        print(f"WRONG: {problem}")
    sys.exit(1 if wrong else 0)


def measure(vendors: Stage, options: argparse.Namespace, code: Path | None) -> list[str]:
    """A first sync of everybody, then one of 1 % changes."""
    count = options.users
    shutil.rmtree(vendors.directory / "state", ignore_errors=True)
    vendors.reset(pending_ms=100, running_ms=100)
    users = people(count + count // 200, options.seed)
    config = vendors.config(vendors.directory / "state")
    first = users[:count]
    changed = users[count // 200 :]  # as many leave as enter: a half percent each
    wrong: list[str] = []
    syncs = (("first sync", first), ("1 % changes", changed), ("no change", changed))
    for label, wanted in syncs[: 1 if options.first else 3]:
        size = vendors.export_is(wanted)
        before = vendors.uploads()
        ended = sync(config, code=code)
        wrong += show(label, ended, size)
        wrong += right(vendors, wanted, label)
        uploads = vendors.uploads()[len(before) :]
        sent = sum(upload["lines"] for upload in uploads)
        expected = {"first sync": count, "1 % changes": 2 * (count // 200), "no change": 0}[label]
        if sent != expected:
            wrong.append(f"{label}: {sent} lines were uploaded, {expected} differ")
    return wrong


def show(label: str, ended: Ended, export_bytes: int) -> list[str]:
    """Print a line of figures."""
    if ended.status != 0:
        return [f"{label}: exit status {ended.status}: {ended.err[-500:]}"]
    report = ended.report
    plan = report["plan"]
    print(
        f"{label:12}  {plan['users']:>9,} users  {ended.seconds:6.1f} s  "
        f"{ended.cpu_s:6.2f} s CPU  {ended.peak_mb:5.0f} MB resident at most  "
        f"{export_bytes:>11,} bytes exported  "
        f"{report['commands']:>9,} commands in {report['parts']} files  "
        f"{report['bytes']:>11,} bytes uploaded",
        flush=True,
    )
    if ended.peak_mb >= MEMORY_MB_MAX:
        return [f"{label}: {ended.peak_mb:.0f} MB, at most {MEMORY_MB_MAX} are allowed"]
    return []


def right(vendors: Stage, wanted: list[str], label: str) -> list[str]:
    """Compare the segment with what it should be, user by user."""
    members = vendors.members()
    missing, strange = set(wanted) - members.keys(), members.keys() - set(wanted)
    now_ms = time.time_ns() // 1_000_000
    off = sum(
        not now_ms + WEEK_MS / 2 - SLACK_MS < (ends or 0) < now_ms + WEEK_MS + SLACK_MS
        for ends in members.values()
    )
    problems = {"missing": len(missing), "not wanted": len(strange), "with a wrong end": off}
    return [f"{label}: {n} users {what}" for what, n in problems.items() if n]


def kill(vendors: Stage, count: int, kills: int, seed: int) -> list[str]:
    """Kill a sync at a random moment, go on with it, and compare; again and again."""
    rng = random.Random(seed)
    users = people(count + count // 5, seed)
    first, changed = users[:count], users[count // 5 :]
    whole_s = undisturbed(vendors, first, changed)
    print(f"undisturbed: {whole_s:.1f} s for {count:,} users, of whom a fifth changes")
    wrong: list[str] = []
    killed_so_far = number = 0
    while killed_so_far < kills and number < 3 * kills:
        number += 1
        state = vendors.directory / f"state-{number}"
        config = vendors.config(state)
        vendors.reset(pending_ms=300, running_ms=700)
        vendors.answer_late()
        vendors.export_is(first)
        begun = sync(config)
        if begun.status != 0:
            return [f"kill {number}: the first sync failed: {begun.err[-500:]}"]
        vendors.export_is(changed)
        before = len(vendors.uploads())
        after_s = rng.uniform(0.2, whole_s)
        killed = sync(config, kill_after_s=after_s)
        if killed.status == 0:
            continue  # it was through before the moment came
        killed_so_far += 1
        resumed = sync(config)
        if resumed.status != 0:
            wrong.append(f"kill {number}: exit status {resumed.status}: {resumed.err[-500:]}")
            continue
        wrong += right(vendors, changed, f"kill {number}")
        uploads = vendors.uploads()[before:]
        imports = [upload["import"] for upload in uploads]
        report = resumed.report
        if len(set(imports)) < len(imports):
            wrong.append(f"kill {number}: a file was uploaded twice")
        if report["unsure"] or report["members"] != len(changed):
            wrong.append(f"kill {number}: the ledger counts {report['members']} members")
        print(
            f"kill {killed_so_far:2} after {after_s:5.2f} s (status {killed.status}): then "
            f"{resumed.seconds:5.1f} s, {'resumed' if report['resumed'] else 'anew'}, "
            f"{len(uploads)} uploads, {report['adopted']} adopted",
            flush=True,
        )
    if killed_so_far < kills:
        wrong.append(f"only {killed_so_far} of {kills} syncs were killed")
    return wrong


def undisturbed(vendors: Stage, first: list[str], changed: list[str]) -> float:
    """How long the second sync takes when nobody kills it."""
    vendors.reset(pending_ms=300, running_ms=700)
    vendors.answer_late()
    config = vendors.config(vendors.directory / "state-0")
    vendors.export_is(first)
    sync(config)
    vendors.export_is(changed)
    return sync(config).seconds


if __name__ == "__main__":
    main()
