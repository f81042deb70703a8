"""Take one guard of a promise out, run the test that should notice, and see it go red.

    python -m scripts.guards            # all of them; exit status 1 when a guard is not missed

Works on a copy of the package, so the checkout stays as it is. Each entry is one promise of
docs/FAILURE.md: where its guard stands, what stands there instead, and the test that must fail.
"""

import os
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
COPIED = ("relay", "tests", "scripts", "pyproject.toml", "schemas", "docs", "examples")


@dataclass(frozen=True)
class Guard:
    """One promise and what keeps it."""

    promise: str
    guard: str
    file: str
    stands: str
    instead: str
    test: str
    broker: bool = False
    """Whether the test needs a Kafka."""


CUSTODY = "relay/road/custody.py"
ENGINE = "relay/stream/engine.py"
MEMBERSHIP = "relay/membership/engine.py"
SENDER = "relay/stream/sender.py"
GUARDS = (
    Guard(
        "Nothing is lost: an offset waits for the broker's word on a dead letter.",
        "a dead letter settles its record only in `letters_written`",
        CUSTODY,
        "        self.letters.append(pending)\n",
        "        self.settle(pending.assigned, pending.letter.record.offset, pending.size_bytes, "
        "Fate.DEAD_LETTERED, str(pending.letter.cls))\n",
        "tests/stream/test_engine.py::"
        "test_a_refused_record_is_dead_at_once_and_the_offset_waits_for_the_broker",
    ),
    Guard(
        "Nothing is lost: what is open is never passed by a commit.",
        "the commit of a partition is its lowest open offset",
        "relay/road/settling/frontier.py",
        "offset = opened[0] if opened else self.end",
        "offset = self.end",
        "tests/road/settling/test_frontier.py",
    ),
    Guard(
        "Nothing is lost: a map beside another offset is not believed.",
        "the checksum of the offset map covers the offset",
        "relay/road/settling/offset_map.py",
        'zlib.crc32(f"{offset} {text}".encode("ascii"))',
        'zlib.crc32(text.encode("ascii"))',
        "tests/road/settling/test_offset_map.py",
    ),
    Guard(
        "Each user's events arrive in order: one flight a lane.",
        "a lane whose parcel flies is not ready",
        "relay/stream/sending/lanes.py",
        "        self._flying[lane] = members\n",
        "        self._flying[lane] = members\n"
        "        if queue:\n            self._ready.append(lane)\n",
        "tests/stream/sending/test_lanes.py",
    ),
    Guard(
        "Each user's events arrive in order: a retry is the head of its lane again.",
        "a flight without a fate goes back to the front of its lane",
        "relay/stream/sending/lanes.py",
        "self._queues[lane].extendleft(reversed(members))",
        "self._queues[lane].extend(members)",
        "tests/stream/test_engine.py::test_a_retry_never_lets_a_later_event_of_the_user_pass",
    ),
    Guard(
        "Each user's events arrive in order: nothing passes a record that waits for its schema.",
        "what stands behind such a record is not admitted",
        CUSTODY,
        "if self.schemas.waits and assigned is not None and assigned.partition in "
        "self.schemas.waits:",
        "if False:",
        "tests/road/test_schema_waits.py::test_its_partition_waits_in_order_and_the_others_go_on",
    ),
    Guard(
        "Each user's events arrive in order: a partition goes on with the record that waited.",
        "a partition whose schema has come goes on between two polls only",
        "relay/road/consuming/schema_waits.py",
        "wait.has_come |= wait.key == key\n",
        "wait.has_come |= wait.key == key\n        self.between_polls(lambda _: True)\n",
        "tests/road/test_schema_waits.py::"
        "test_what_came_after_it_in_one_batch_does_not_pass_it_when_the_schema_comes_meanwhile",
    ),
    Guard(
        "A restart does not repeat what was done.",
        "offsets that the map knows to be finished are skipped",
        "relay/road/settling/frontier.py",
        "return offset < self._known_end and offset not in self._open",
        "return False",
        "tests/road/settling/test_frontier.py::"
        "test_what_an_earlier_life_finished_is_known_and_what_it_left_open_is_not",
    ),
    Guard(
        "An outage burns no attempts.",
        "a failure counts only when others were delivered since the last one",
        SENDER,
        "waiting.failures += others",
        "waiting.failures += 1",
        "tests/stream/test_engine.py::test_while_nothing_succeeds_no_attempt_is_burnt",
    ),
    Guard(
        "The destination sets the pace; trouble stays with the record, user or route that it is "
        "about.",
        "the narrowest scope that explains what others met lately",
        "relay/stream/sending/scope.py",
        "if each_user or route.asked < max(ASKED_MIN, in_flight):",
        "if each_user:",
        "tests/stream/sending/test_scope.py::test_the_narrowest_scope_that_explains_it",
    ),
    Guard(
        "A wrong token loses nothing: 401 holds the stream.",
        "401 is misconfigured in the verdict table",
        "relay/stream/sending/verdicts.py",
        'Rule(VerdictKind.MISCONFIGURED, statuses("401")',
        'Rule(VerdictKind.REFUSED, statuses("401")',
        "tests/stream/sending/test_verdicts.py::test_every_status_has_its_row",
    ),
    Guard(
        "A dead-letter topic that refuses writes holds the stream.",
        "nothing flies while a dead letter cannot be written",
        SENDER,
        "return not self.custody.stopped and self.custody.letters_blocked is None",
        "return not self.custody.stopped",
        "tests/stream/test_engine.py::"
        "test_a_dead_letter_topic_that_refuses_holds_everything_until_it_takes_it",
    ),
    Guard(
        "One of several destinations that is down leaves the others as they are.",
        "what pauses for one that has used up its share is only what feeds it",
        ENGINE,
        "if self._shares is not None and self._shares.is_fed_by(assigned):",
        "if False:",
        "tests/stream/test_several_destinations.py::"
        "test_one_that_is_down_pauses_its_own_partitions_before_the_budget_is_full",
    ),
    Guard(
        "Bad input is one record's problem: its reason never holds its value.",
        "keys of the input are named only where they look like field names",
        "relay/stream/decoding/reasons.py",
        "step if _PLAIN_NAME(step) else",
        "step if step else",
        "tests/stream/decoding/test_decode.py",
    ),
    Guard(
        "No secret in a log.",
        "the log masks every secret of the settings",
        "relay/telemetry/log.py",
        'text = text.replace(secret, "***")',
        "text = text.replace(secret, secret)",
        "tests/telemetry/test_log.py",
    ),
    Guard(
        "Bounded memory: taking stops when the budget is used up.",
        "partitions are paused while the budget is full",
        CUSTODY,
        "        if self.is_full or self.stopped:\n",
        "        if self.stopped:\n",
        "tests/stream/test_engine_budget.py",
    ),
    Guard(
        "Membership: nothing passes a dead letter that is not confirmed.",
        "no file leaves while a letter waits",
        MEMBERSHIP,
        "if custody.stopped or custody.letters:",
        "if custody.stopped:",
        "tests/membership/test_batches.py::test_nothing_flies_before_a_dead_letter_is_confirmed",
    ),
    Guard(
        "Membership: of a member one line flies.",
        "the newest change of a lane is its line",
        "relay/membership/batches.py",
        "line = line_of(lane.units[-1].change)",
        "line = line_of(lane.units[0].change)",
        "tests/membership/test_batches.py::"
        "test_of_a_member_only_the_newest_change_flies_and_it_settles_the_ones_before",
    ),
    Guard(
        "Membership: an outage takes nothing apart.",
        "a file is taken apart only while others succeed",
        "relay/membership/batches.py",
        "others_succeed = self.successes > group.baseline",
        "others_succeed = True",
        "tests/membership/test_batches.py::"
        "test_an_outage_takes_nothing_apart_and_costs_one_line_a_try",
    ),
    Guard(
        "Membership: partitions that leave take nothing new with them.",
        "no file leaves while partitions do",
        MEMBERSHIP,
        "assigned.leaving or (is_closed",
        "(is_closed",
        "tests/membership/test_batches.py::test_no_new_file_flies_while_partitions_leave",
    ),
    Guard(
        "A partition has one owner at a time.",
        "what a member holds is given to nobody else before it lets go",
        "relay/road/consuming/assigning.py",
        "if p not in disputed and holders.get(p, name) == name",
        "if p not in disputed",
        "tests/road/consuming/test_assigning.py",
    ),
    Guard(
        "A commit never overwrites that of the next owner.",
        "a commit that is tried again ends when its partition is ours by another assignment",
        "relay/road/consuming/group_commits.py",
        "if self._ours(commits.keys()) != epochs:",
        "if self._ours(commits.keys()) is None:",
        "tests/road/consuming/test_kafka_source.py::"
        "test_a_commit_ends_when_its_partition_is_not_ours_by_the_same_assignment",
        broker=True,
    ),
    Guard(
        "A segment's ledger survives a power cut.",
        "a commit of the ledger is on the disk when it returns",
        "relay/segments/database.py",
        "PRAGMA synchronous = FULL",
        "PRAGMA synchronous = OFF",
        "tests/segments/test_database.py::test_a_commit_is_on_the_disk_when_it_returns",
    ),
    Guard(
        "A segment's files survive a power cut: the export.",
        "a download is on the disk before it has its name",
        "relay/apis/object_store.py",
        "        os.fsync(file.fileno())\n",
        "",
        "tests/apis/test_object_store.py::test_a_download_is_on_the_disk_before_it_has_its_name",
    ),
    Guard(
        "A segment's files survive a power cut: the parts that are uploaded.",
        "a part is on the disk before the ledger knows it",
        "relay/segments/parts.py",
        "        os.fsync(file.fileno())\n",
        "",
        "tests/segments/test_formats.py::test_a_part_is_on_the_disk_before_it_is_named",
    ),
    Guard(
        "A log that nobody reads stops nothing.",
        "lines for standard output wait in a queue with an end",
        "relay/telemetry/lines.py",
        "return QueuedLines(descriptor) if descriptor in _STANDARD else DirectLines(stream)",
        "return DirectLines(stream)",
        "tests/process/test_unread_output.py::"
        "test_health_answers_and_sigterm_stops_while_nobody_reads_standard_output",
    ),
    Guard(
        "No worker outlives its supervisor.",
        "standard input of a worker ends with its supervisor",
        "relay/cli/run.py",
        "        follow_supervisor()\n",
        "        pass\n",
        "tests/process/test_signals.py::test_workers_end_when_their_supervisor_is_killed",
    ),
    Guard(
        "A signal in the first moments has a status of ours.",
        "workers are started with signals held back",
        "relay/workers.py",
        "signal.pthread_sigmask(signal.SIG_BLOCK, stop_signals())",
        "signal.pthread_sigmask(signal.SIG_BLOCK, ())",
        "tests/process/test_signals.py::"
        "test_sigterm_in_the_first_moments_of_a_worker_ends_with_status_0",
    ),
    Guard(
        "Late answers of an earlier assignment change nothing.",
        "a record belongs to the assignment that it was read in",
        CUSTODY,
        "assigned.gone = True",
        "assigned.gone = False",
        "tests/stream/test_engine_partitions.py",
    ),
)


def try_out(guard: Guard, home: Path) -> str:
    """What happened: `red`, `green` (nobody missed the guard) or `gone` (it is not there)."""
    path = home / guard.file
    whole = path.read_text(encoding="utf-8")
    if guard.stands not in whole:
        return "gone"
    marked = "broker" if guard.broker else "not broker"
    path.write_text(whole.replace(guard.stands, guard.instead, 1), encoding="utf-8")
    try:
        ran = subprocess.run(  # noqa: S603 - our own tests
            [sys.executable, "-m", "pytest", "-x", "-q", "-m", marked, guard.test],
            cwd=home,
            capture_output=True,
            text=True,
            check=False,
            env={**os.environ, "PYTHONPATH": str(home)},  # noqa: TID251 - handed on, not read
        )
    finally:
        path.write_text(whole, encoding="utf-8")
    # 1: a test failed. Anything else (2: collection broke, 4: no such test) proves nothing.
    return {0: "green", 1: "red"}.get(ran.returncode, f"pytest ended with {ran.returncode}")


def main() -> int:
    """Try every guard; print a line for each."""
    with tempfile.TemporaryDirectory(prefix="relay-guards-") as folder:
        home = Path(folder)
        for name in COPIED:
            source = ROOT / name
            if source.is_dir():
                ignored = shutil.ignore_patterns("__pycache__")
                shutil.copytree(source, home / name, ignore=ignored)
            elif source.exists():
                shutil.copy(source, home / name)
        missed = True
        for guard in GUARDS:
            result = try_out(guard, home)
            missed = missed and result == "red"
            sys.stdout.write(f"{result:6} {guard.guard}  [{guard.test.split('/')[-1]}]\n")
            sys.stdout.flush()
    return 0 if missed else 1


if __name__ == "__main__":
    sys.exit(main())
