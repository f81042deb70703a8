"""mParticle batches, whatever fails, and replays of their letters: users end as a fold leaves them.

A failure prints the seed; `mix_of(seed)` is the same run again, to the last random draw.
"""

import json
from collections import Counter

import pytest

from relay.model import DeadLetterClass
from tests.support.simulation.batches import BatchWorld, batches, fold, mix_of


def check(mix):
    world = BatchWorld(mix).run()
    seed = f"seed {mix.seed}: {mix}"
    assert world.settled_at is not None, seed
    assert world.unbalanced == 0, seed  # by record and by event, at each look
    check_letters(world, seed)
    expected, stored = fold(world.batches), world.stored()
    assert stored.keys() == expected.keys(), seed
    late = set()
    for user, known in expected.items():
        found = stored[user]
        in_place = [seq for seq in found.timeline if seq not in known.late]
        assert in_place == known.state.timeline, f"{seed}: {user}"
        assert known.late <= set(found.timeline), f"{seed}: {user}"
        assert found.profile == known.state.profile, f"{seed}: {user}"
        late |= {(user, seq) for seq in known.late}
    # What a letter does not name is not sent again.
    assert world.stored_by_replays <= late, seed
    return world


def check_letters(world, seed):
    """Each event that must die is named by a letter, and no other event is."""
    named = Counter()
    for letter in world.letters.written:
        document = json.loads(letter.record.value)
        kinds = world.batches[document["batch_id"]].kinds
        if letter.events_total:
            assert letter.events_total == len(kinds), seed
        events = letter.events or range(len(kinds))
        wanted = "refused" if letter.cls is DeadLetterClass.REFUSED else "bad"
        assert {kinds[event] for event in events} == {wanted}, f"{seed}: {letter}"
        assert wanted == "bad" or len(events) == 1, seed
        named.update((document["batch_id"], event) for event in events)
    for number, batch in enumerate(world.batches):
        for event, kind in enumerate(batch.kinds):
            assert ((number, event) in named) == (kind in {"refused", "bad"}), seed


@pytest.mark.parametrize("seed", range(4))
def test_a_mixed_stream_of_batches_leaves_each_user_as_a_plain_fold_does(seed):
    world = check(mix_of(seed))
    first, second = world.replayed
    assert first
    assert second


@pytest.mark.storm(cases=10)
@pytest.mark.timeout(600)
@pytest.mark.parametrize("seed", range(2000, 2050))
def test_many_mixed_streams_of_batches_leave_each_user_as_a_plain_fold_does(seed):
    check(mix_of(seed, events=150, users=25))


def test_the_mix_has_batches_of_every_size_and_events_of_every_kind():
    found = [batch for seed in range(4) for batch in batches(mix_of(seed))]
    sizes = {len(batch.kinds) for batch in found}
    assert {0, 1, 2, 60} <= sizes
    kinds = {kind for batch in found for kind in batch.kinds}
    assert kinds == {"custom", "refused", "attribute", "deleted", "skipped", "bad"}
