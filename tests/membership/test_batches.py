"""The engine against a platform that fails, rejects and goes away: who is where in the end?

The platform here is the plain idea of one: it applies lines in no particular order, and knows by
their data bag which of them are bad.
"""

import random

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from relay.membership.policy import MembershipPolicy
from relay.segments.outcome import Failed
from tests.support.membership_bench import P0, P1, WALL_MS, Bench, asked, changes


def test_changes_wait_for_others_until_the_first_has_waited_long_enough():
    bench = Bench(wait_s=60)
    bench.take("alice 88 in")
    assert bench.fly(later=59) is None
    bench.take("bob 88 in")
    assert asked(bench.fly(later=1)) == ["alice 88 in", "bob 88 in"]


def test_a_file_leaves_when_it_is_full_and_the_rest_waits_on():
    bench = Bench(commands_max=2)
    for user in ("alice", "bob", "carol"):
        bench.take(f"{user} 88 in")
    batch = bench.fly()
    assert asked(batch) == ["alice 88 in", "bob 88 in"]
    bench.take_all(batch)
    assert bench.fly() is None
    assert asked(bench.fly(later=60)) == ["carol 88 in"]


def test_a_few_files_fly_side_by_side_and_never_two_with_one_member():
    bench = Bench(commands_max=1)
    for number in range(6):
        bench.take(f"user{number} 88 in")
    flying = [bench.fly() for _ in range(5)]
    assert [asked(batch) for batch in flying[:4]] == [[f"user{n} 88 in"] for n in range(4)]
    assert flying[4] is None
    bench.take("user0 88 out")
    bench.take_all(flying[1])
    assert asked(bench.fly()) == ["user4 88 in"]
    bench.take_all(flying[0])
    assert asked(bench.fly()) == ["user5 88 in"]
    bench.take_all(flying[2])
    assert asked(bench.fly(later=60)) == ["user0 88 out"]


def test_while_files_fail_one_at_a_time_tries():
    bench = Bench(commands_max=1)
    for number in range(6):
        bench.take(f"user{number} 88 in")
    first, second = bench.fly(), bench.fly()
    bench.end(first, Failed("the execution ended as FAILED"))
    assert bench.fly(later=3600) is None
    bench.take_all(second)
    assert bench.fly() is not None
    assert bench.fly() is not None


def test_a_file_is_never_larger_than_allowed():
    bench = Bench()
    record = bench.take("user0 88 in", P1)
    line = len(bench.engine._line(changes(record, 0)[0], WALL_MS))
    bench.engine.batches._policy = MembershipPolicy(bytes_max=3 * line, gather_s=60)
    for number in range(8):
        bench.take(f"user{number} 88 in")
    sizes = []
    while (batch := bench.due()) is not None:
        sizes.append(sum(map(len, batch.lines)))
        bench.take_all(batch)
    assert len(sizes) >= 3
    assert max(sizes) <= 3 * line
    assert bench.engine.custody.ledger.delivered == 9


def test_of_a_member_only_the_newest_change_flies_and_it_settles_the_ones_before():
    bench = Bench()
    for where in ("in", "out", "in", "out"):
        bench.take(f"alice 88 {where}")
    batch = bench.due()
    assert asked(batch) == ["alice 88 out"]
    bench.take_all(batch)
    assert bench.engine.custody.ledger.delivered == 4
    assert bench.engine.custody.ledger.open == 0


def test_a_change_that_comes_while_its_member_flies_waits_for_the_outcome():
    bench = Bench()
    bench.take("alice 88 in")
    batch = bench.due()
    bench.take("alice 88 out")
    bench.take_all(batch)
    assert bench.engine.custody.ledger.delivered == 1
    assert asked(bench.due()) == ["alice 88 out"]


def test_when_the_newest_is_rejected_the_one_before_it_flies_next():
    bench = Bench()
    bench.take("alice 88 in")
    rejected = bench.take("alice 88 out")
    bench.reject_all(bench.due())
    assert asked(bench.due()) == ["alice 88 in"]
    assert bench.fates == {rejected.position: "line_rejected"}


def test_a_record_with_several_changes_is_delivered_when_all_of_them_are():
    bench = Bench()
    bench.take("alice 88,89 in")
    batch = bench.due()
    assert asked(batch) == ["alice 88 in", "alice 89 in"]
    bench.take_all(batch)
    assert bench.engine.custody.ledger.delivered == 1


def test_a_record_of_which_one_change_is_rejected_is_one_dead_letter():
    bench = Bench()
    record = bench.take("alice 88,89 in")
    bench.unclear(bench.due(), 1)
    bench.take_all(bench.due())
    bench.reject_all(bench.due(), "segment unknown")
    (letter,) = bench.bury()
    assert letter.letter.record is record
    assert letter.letter.reason == "rejected by the import: segment unknown"
    assert (letter.letter.attempts, letter.letter.cls) == (3, "refused")


def test_nothing_flies_before_a_dead_letter_is_confirmed():
    bench = Bench()
    bench.take("alice 88 in")
    bench.reject_all(bench.due())
    bench.take("alice 88 out")
    assert bench.fly(later=3600) is None
    assert bench.engine.wakes_at() is None
    bench.bury()
    assert bench.fly() is not None


def test_an_offset_waits_for_the_import_and_for_the_dead_letter():
    bench = Bench()
    bench.take("- 88 in")
    bench.take("alice 88 in")
    bench.take("bob 88 in")
    assert bench.engine.custody.commits(0.0)[P0].offset == 1
    bench.reject(bench.due(), 1)
    assert bench.engine.custody.commits(0.0)[P0].offset == 2
    bench.bury()
    assert bench.engine.custody.commits(0.0)[P0].offset == 3


def test_what_cannot_be_mapped_is_a_dead_letter_and_the_rest_goes_on():
    bench = Bench()
    bench.take("! 88 in")
    (letter,) = bench.bury()
    assert (letter.letter.cls, letter.letter.code) == ("unmappable", "no_identifier")
    bench.take("alice 88 in")
    bench.take_all(bench.due())
    assert bench.engine.custody.commits(0.0)[P0].offset == 2


def test_a_file_that_failed_is_sent_again_as_it_is_and_later_each_time():
    bench = Bench(attempts_max=3)
    bench.take("alice 88 in")
    bench.take("bob 88 in")
    first = bench.due()
    failed_at = bench.now
    bench.end(first, Failed("the execution ended as FAILED"))
    second = bench.due()
    assert asked(second) == asked(first)
    waited = bench.now - failed_at
    assert 0.5 <= waited <= 1.0
    failed_at = bench.now
    bench.end(second, Failed("the execution ended as FAILED"))
    assert asked(bench.due()) == asked(first)
    assert 1.0 <= bench.now - failed_at <= 2.0


def test_an_outage_takes_nothing_apart_and_costs_one_line_a_try():
    bench = Bench(attempts_max=3)
    for number in range(64):
        bench.take(f"user{number} 88 in")
    lines = []
    for _ in range(100):
        batch = bench.due()
        lines.append(len(batch.lines))
        bench.end(batch, Failed("the execution ended as FAILED"))
    assert bench.engine.custody.ledger.dead_lettered.total() == 0
    assert not bench.engine.custody.letters
    # Now and then the whole is tried: otherwise single lines.
    assert sum(count > 1 for count in lines[3:]) <= 30
    files = 0
    while (batch := bench.due()) is not None:
        bench.take_all(batch)
        files += 1
    assert bench.engine.custody.ledger.delivered == 64
    assert files <= 4


def test_one_line_that_fails_every_file_is_found_and_the_others_are_imported():
    bench = Bench(attempts_max=3, give_up_s=300)
    for number in range(100):
        bench.take(f"user{number} 88 in")
    poison = bench.take("poison 88 in")
    files = 0
    while (batch := bench.due()) is not None:
        files += 1
        assert files < 200
        if any("poison" in line for line in asked(batch)):
            bench.end(batch, Failed("the execution ended as FAILED"))
        else:
            bench.take_all(batch)
        if (
            bench.engine.custody.ledger.delivered == 100
            and not bench.engine.custody.ledger.dead_lettered
        ):
            bench.take("later 88 in")  # alone in the world it would be an outage
    assert bench.fates == {poison.position: "import_failed"}
    assert bench.engine.custody.ledger.open == 0


def test_a_line_that_fails_alone_in_the_world_is_tried_on():
    bench = Bench(attempts_max=3)
    bench.take("alice 88 in")
    for _ in range(20):
        bench.end(bench.due(), Failed("the execution ended as FAILED"))
    assert not bench.engine.custody.letters
    assert bench.engine.custody.ledger.open == 1


def test_a_file_that_is_refused_is_halved_at_once_until_the_bad_line_stands_alone():
    bench = Bench()
    for number in range(15):
        bench.take(f"user{number} 88 in")
    bad = bench.take("bad 88 in")
    files = 0
    while (batch := bench.due()) is not None:
        files += 1
        if any("bad" in line for line in asked(batch)):
            bench.refuse(batch, "400: refused")
        else:
            bench.take_all(batch)
    assert bench.fates == {bad.position: "import_refused"}
    assert bench.engine.custody.ledger.delivered == 15
    assert files == 9  # four halvings of sixteen


def test_lines_that_may_be_meant_fly_apart_from_the_others():
    bench = Bench()
    for number in range(10):
        bench.take(f"user{number} 88 in")
    bench.unclear(bench.due(), 2, 2, 7)
    suspects = bench.due()
    assert asked(suspects) == ["user2 88 in", "user7 88 in"]
    bench.reject_all(suspects)
    rest = bench.due()
    assert len(rest.lines) == 8
    bench.take_all(rest)
    assert bench.engine.custody.ledger.delivered == 8
    assert set(bench.fates.values()) == {"line_rejected"}


def test_what_could_not_be_sent_at_all_is_sent_again_and_nothing_is_counted_against_it():
    bench = Bench(attempts_max=1)
    bench.take("alice 88 in")
    for _ in range(30):
        bench.hold(bench.due(), "401: the credentials are not accepted")
    assert bench.engine.held_because is not None
    bench.take_all(bench.due())
    assert bench.engine.custody.ledger.delivered == 1
    assert bench.engine.held_because is None


def test_while_memory_is_full_nobody_waits_for_more():
    bench = Bench(wait_s=3600)
    most = bench.engine.policy.custody.memory_records_max
    for number in range(most):
        bench.take(f"user{number} 88 in")
    assert bench.engine.custody.paused() == {P0, P1}
    assert bench.fly() is not None


def test_partitions_that_leave_take_what_waits_with_them_and_let_land_what_flies():
    bench = Bench()
    bench.take("alice 88 in", P0)
    bench.take("bob 88 in", P1)
    batch = bench.due()
    bench.take("carol 88 in", P0)
    bench.engine.custody.leave([P0])
    assert bench.engine.custody.is_busy([P0])
    assert bench.fly(later=3600) is None
    bench.take_all(batch)
    assert not bench.engine.custody.is_busy([P0])
    assert bench.engine.custody.commits(0.0)[P0].offset == 1
    bench.engine.custody.drop([P0])
    assert bench.engine.custody.ledger.returned == 1
    assert bench.engine.custody.ledger.balanced


def test_no_new_file_flies_while_partitions_leave():
    """It would fly beyond their end, with lines of users whom the next owner sends, too."""
    bench = Bench()
    bench.take("alice 88 in", P1)
    bench.engine.custody.leave([P0])
    assert bench.fly(later=3600) is None
    bench.engine.custody.drop([P0])
    assert asked(bench.fly()) == ["alice 88 in"]


def test_an_outcome_for_a_partition_that_is_gone_settles_nothing():
    bench = Bench()
    bench.take("alice 88 in")
    batch = bench.due()
    bench.engine.custody.drop([P0, P1])
    bench.assign(P0, P1)
    bench.take_all(batch)
    assert bench.engine.custody.ledger.delivered == 0
    assert bench.engine.custody.ledger.returned == 1
    assert bench.engine.custody.commits(0.0) == {}


def test_what_an_earlier_life_settled_beyond_the_commit_is_not_sent_again():
    bench = Bench()
    bench.take("alice 88 in")
    bench.take("bob 88 in")
    bench.reject(bench.due(), 0)
    commits = bench.engine.custody.commits(0.0)
    again = Bench()
    again.assign(P0, commits=commits)
    again.take("alice 88 in", offset=0)
    again.take("bob 88 in", offset=1)
    assert asked(again.due()) == ["alice 88 in"]
    assert again.engine.custody.ledger.skipped["settled_before_restart"] == 1


@pytest.mark.parametrize("clean", [True, False])
def test_after_a_clean_stop_nobody_waits_for_what_may_be_under_way(clean):
    """Its last commit says that nothing is under way."""
    bench = Bench()
    bench.take("alice 88 in")
    batch = bench.due()
    bench.commit()
    if clean:
        bench.engine.custody.stop()
        assert bench.engine.custody.commits(0.0) == {}  # a file is still under way
        bench.take_all(batch)
    bench.commit()
    commits = {
        assigned.partition: assigned.last_commit
        for assigned in bench.engine.custody.assigned.values()
    }
    again = Bench()
    again.assign(P0, commits=commits)
    assert again.engine.custody.assigned[P0].past_is_open is not clean
    # The next life takes the word back before it sends anything.
    again.take("bob 88 in", offset=1)
    again.due()
    again.commit()
    commits = {P0: again.engine.custody.assigned[P0].last_commit}
    last = Bench()
    last.assign(P0, commits=commits)
    assert last.engine.custody.assigned[P0].past_is_open


def test_a_log_that_was_cut_is_begun_anew():
    bench = Bench()
    bench.take("alice 88 in", offset=5)
    bench.take("bob 88 in", offset=2)
    assert asked(bench.due()) == ["bob 88 in"]
    assert [fact.name() for fact in bench.engine.custody.facts] == ["partition_rewound"]


class Platform:
    """Takes the files of a bench: away at first, then failing by chance and by what they hold."""

    def __init__(self, bench, rng, outage):
        self.bench = bench
        self.rng = rng
        self.outage = outage
        self.files = 0
        self.inside = set()

    def carry(self, batch):
        self.files += 1
        assert self.files < 3000
        bags = [units[-1].change.data_bag for units in batch.flown]
        if '"refused"' in bags:
            self.bench.refuse(batch)
            return
        # By chance only what flies together: a line alone that fails so often is bad, we say.
        by_chance = len(bags) > 1 and self.rng.random() < 0.2
        fails = self.files < self.outage or '"poison"' in bags or by_chance
        lines = list(zip(asked(batch), bags, strict=True))
        self.rng.shuffle(lines)
        for line, bag in lines:
            if bag in (None, '"good"') and not (fails and self.rng.random() < 0.5):
                self._apply(*line.split())
        bad = [place for place, bag in enumerate(bags) if bag == '"rejected"']
        if fails:
            self.bench.end(batch, Failed("FAILED"))
        elif len(bad) == len(bags):
            self.bench.reject_all(batch)
        elif bad:  # an error file may name them, or somebody else, or nobody
            named = self.rng.choice([bad, [0], []])
            self.bench.unclear(batch, len(bad), *named)
        else:
            self.bench.take_all(batch)

    def _apply(self, user, segment, where):
        (self.inside.add if where == "in" else self.inside.discard)((user, segment))


KINDS = st.sampled_from(["good"] * 12 + ["rejected", "poison", "refused"])


@settings(deadline=None, max_examples=150, suppress_health_check=[HealthCheck.too_slow])
@given(
    asks=st.lists(
        st.tuples(st.integers(0, 8), st.sampled_from("AB"), st.booleans(), KINDS), max_size=60
    ),
    seed=st.integers(0, 2**32),
    outage=st.integers(0, 40),
    commands_max=st.integers(1, 12),
)
def test_whatever_the_platform_does_each_member_ends_where_its_last_good_event_put_it(
    asks, seed, outage, commands_max
):
    rng = random.Random(seed)
    bench = Bench(seed, commands_max=commands_max, attempts_max=2, give_up_s=60)
    platform = Platform(bench, rng, outage)
    wanted = {}
    good = set()
    waiting = list(asks)
    while True:
        if not waiting and bench.engine.custody.ledger.open and not rng.randrange(3):
            # Somebody new now and then, so that others succeed while one does not.
            waiting.append((f"new{platform.files}", "A", True, "good"))
        for user, segment, enters, kind in waiting[:7]:
            record = bench.take(f"u{user} {segment} {'in' if enters else 'out'} {kind}")
            if kind == "good":
                wanted[f"u{user}", segment] = enters
                good.add(record.position)
        waiting = waiting[7:]
        batch = bench.due()
        if batch is None:
            break
        platform.carry(batch)
    ledger = bench.engine.custody.ledger
    assert ledger.balanced
    assert ledger.open == 0
    # What is bad may be settled by a later change of its member, without ever being sent.
    assert good.isdisjoint(bench.fates)
    assert set(bench.fates.values()) <= {"line_rejected", "import_failed", "import_refused"}
    assert platform.inside == {member for member, enters in wanted.items() if enters}


@pytest.mark.parametrize("outage_tries", [5, 50, 500])
def test_after_an_outage_of_any_length_everything_is_sent_in_a_few_files(outage_tries):
    bench = Bench(attempts_max=3, commands_max=1000)
    for number in range(300):
        bench.take(f"user{number} 88 in")
    for _ in range(outage_tries):
        bench.end(bench.due(), Failed("the execution ended as LOST"))
    files = 0
    while (batch := bench.due()) is not None:
        bench.take_all(batch)
        files += 1
    assert bench.engine.custody.ledger.delivered == 300
    assert files <= 4
