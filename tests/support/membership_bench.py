"""An engine of membership events on a bench: feed it in a shorthand, take its files, end them.

    alice 88 in      alice enters segment 88      - 88 in    not wanted
    bob 88,89 out    bob leaves two segments      ! 88 in    not mappable
                                                  * x y      the stream's

A word behind it becomes the data bag.
"""

import random
from collections import Counter

import orjson

from relay.apis.errors import Refused
from relay.apis.mediarithmics_document_imports import Execution
from relay.membership.engine import MembershipEngine
from relay.membership.mapping import OTHER_EVENT, Change
from relay.membership.policy import MembershipPolicy
from relay.model import Moment, Partition, Record, Unmappable, Unwanted
from relay.segments.hints import Hints
from relay.segments.outcome import Failed, Landed, Unclear

HINTS = Hints()
DONE = Execution("1", "SUCCEEDED")
P0, P1 = Partition("events", 0), Partition("events", 1)
WALL_MS = 1_767_225_600_000


def changes(record, now_ms):
    """The shorthand of the module's docstring."""
    user, segments, where, *bag = record.value.decode().split()
    if user == "-":
        return Unwanted("no_consent", "the user said no")
    if user == "*":
        return OTHER_EVENT
    if user == "!":
        return Unmappable("no_identifier", "no usable identifier")
    return tuple(
        Change(
            (("user_account_id", "", user), ("id", segment)),
            where == "in",
            data_bag=f'"{bag[0]}"' if bag else None,
        )
        for segment in segments.split(",")
    )


class Bench:
    """An engine, its clock, and the confirmations that it waits for."""

    def __init__(self, seed=0, *, commands_max=100, wait_s=60.0, **trouble):
        self.engine = MembershipEngine(
            MembershipPolicy(
                commands_max=commands_max,
                gather_s=wait_s,
                **{"wait_s": 1.0, "wait_s_max": 8.0, **trouble},
            ),
            changes,
            random.Random(seed),
        )
        self.now = 0.0
        self.epoch = 0
        self.offsets = Counter()
        self.fates = {}
        self.assign(P0, P1)

    def assign(self, *partitions, commits=None):
        self.epoch += 1
        known = commits or {}
        self.engine.custody.assign({p: known.get(p) for p in partitions}, self.epoch, self.now)

    def take(self, value, partition=P0, offset=None):
        if offset is None:
            offset = self.offsets[partition]
            self.offsets[partition] += 1
        record = Record(*partition, offset, WALL_MS, None, value.encode(), (), self.epoch)
        self.engine.admit(record, Moment(self.now, WALL_MS))
        return record

    def commit(self):
        custody = self.engine.custody
        custody.committed(custody.commits(self.now))

    def fly(self, *, later=0.0):
        self.now += later
        self.commit()
        return self.engine.next_batch(Moment(self.now, WALL_MS + int(self.now * 1000)))

    def due(self):
        """The next file, as soon as there may be one; None when there is nothing to wait for."""
        self.bury()
        self.commit()
        while (at := self.engine.wakes_at()) is not None:
            self.now = max(self.now, at)
            batch = self.fly()
            if batch is not None:
                return batch
        return None

    def end(self, batch, outcome, hints=HINTS):
        self.engine.ended(batch, outcome, hints, self.now)

    def take_all(self, batch):
        self.end(batch, Landed(DONE, 0))

    def reject_all(self, batch, reason=""):
        self.end(batch, Landed(DONE, len(batch.lines)), Hints(reason=reason))

    def reject(self, batch, *places):
        """Some lines are rejected, and an error file names them: both pieces fly, and end."""
        self.unclear(batch, len(places), *places)
        bad, good = self.due(), self.due()
        self.take_all(good)
        self.reject_all(bad)

    def unclear(self, batch, rejected, *places):
        self.end(batch, Unclear(DONE, rejected), Hints(dict.fromkeys(places, "")))

    def refuse(self, batch, reason="400: refused"):
        self.end(batch, Failed(reason, refused=Refused(reason)))

    def hold(self, batch, reason):
        self.engine.batches.put_back(batch, self.now)
        self.engine.held(reason, self.now)

    def bury(self):
        letters = self.engine.custody.next_letters(1000)
        for item in letters:
            self.fates[item.letter.record.position] = item.letter.code
        self.engine.custody.letters_written(letters)
        return letters


def asked(batch):
    """The lines of a file as `user segment in|out`, read back from what would be uploaded."""
    lines = [orjson.loads(line) for line in batch.lines]
    return [
        f"{line['user_account_id']} {line['segment_id']} "
        f"{'in' if line['operation'] == 'UPDATE' else 'out'}"
        for line in lines
    ]
