"""How a group assigns partitions: nothing is given to two, few move, and all end up even."""

from hypothesis import given
from hypothesis import strategies as st

from relay.model import Partition
from relay.road.consuming.assigning import Member, assign

TOPICS = ("a", "b")


def partitions_of(counts):
    return [Partition(topic, n) for topic, count in counts.items() for n in range(count)]


def settled(members, partitions, rounds=3):
    """Assign until nothing changes any more; each member drops what it was not given."""
    for generation in range(rounds):
        assigned = assign(members, partitions)
        members = {
            name: Member(member.topics, frozenset(assigned[name]), generation)
            for name, member in members.items()
        }
    return members


def group(*names, topics=TOPICS):
    return {name: Member(frozenset(topics)) for name in names}


everything = st.fixed_dictionaries({topic: st.integers(0, 9) for topic in TOPICS})
names = st.sets(st.sampled_from("klmnop"), min_size=1)


@st.composite
def groups(draw):
    """Members with any claims, also of what is not there, and of the same partition."""
    counts = draw(everything)
    claims = st.frozensets(st.sampled_from(partitions_of({"a": 10, "b": 10})), max_size=8)
    members = {
        name: Member(
            frozenset(draw(st.sets(st.sampled_from(TOPICS), min_size=1))),
            draw(claims),
            draw(st.integers(-1, 3)),
        )
        for name in draw(names)
    }
    return members, partitions_of(counts)


@given(groups())
def test_no_partition_is_given_to_two_or_to_one_that_does_not_read_it(drawn):
    members, partitions = drawn
    assigned = assign(members, partitions)

    given_away = [p for held in assigned.values() for p in held]
    assert assigned.keys() == members.keys()
    assert len(given_away) == len(set(given_away))
    assert set(given_away) <= set(partitions)
    for name, held in assigned.items():
        assert {p.topic for p in held} <= members[name].topics


@given(groups())
def test_what_another_holds_is_given_to_nobody_else(drawn):
    """The holder may have requests under way: whoever got it now would overtake them."""
    members, partitions = drawn
    assigned = assign(members, partitions)

    for name, held in assigned.items():
        for partition in held:
            for other, member in members.items():
                if other != name and partition in member.holds:
                    assert partition in members[name].holds
                    assert member.generation < members[name].generation


@given(groups())
def test_after_some_rounds_everything_that_is_read_is_given_and_stays(drawn):
    """Also from claims that cannot be, and when not all members read the same."""
    members, partitions = drawn
    members = settled(members, partitions, rounds=10)

    read = frozenset().union(*(member.topics for member in members.values()))
    assert frozenset().union(*(m.holds for m in members.values())) == {
        p for p in partitions if p.topic in read
    }
    assigned = assign(members, partitions)
    assert all(assigned[name] == member.holds for name, member in members.items())


@given(everything, names)
def test_members_that_read_the_same_get_as_many_as_the_others(counts, those):
    members = settled(group(*those), partitions_of(counts))

    sizes = [len(member.holds) for member in members.values()]
    assert max(sizes) - min(sizes) <= 1


@given(everything, names, names)
def test_two_rounds_are_enough_when_members_come_and_go(counts, before, after):
    partitions = partitions_of(counts)
    old = settled(group(*before), partitions)
    now = group(*after) | {name: member for name, member in old.items() if name in after}

    now = settled(now, partitions, rounds=2)
    assert frozenset().union(*(member.holds for member in now.values())) == set(partitions)
    sizes = [len(member.holds) for member in now.values()]
    assert max(sizes) - min(sizes) <= 1


@given(everything, names, st.data())
def test_when_one_leaves_only_its_own_partitions_move(counts, those, data):
    before = settled(group(*those), partitions_of(counts))
    leaver = data.draw(st.sampled_from(sorted(before)))
    after = {name: member for name, member in before.items() if name != leaver}

    assigned = assign(after, partitions_of(counts))
    for name, member in after.items():
        assert member.holds <= assigned[name]


def test_when_one_joins_the_others_let_go_of_its_share_and_of_no_more():
    partitions = partitions_of({"a": 12})
    before = settled(group("k", "l"), partitions)
    joined = before | group("m")

    first = assign(joined, partitions)
    assert [len(first[name]) for name in "klm"] == [4, 4, 0]
    after = settled(joined, partitions)
    assert [len(after[name].holds) for name in "klm"] == [4, 4, 4]
    assert all(first[name] <= before[name].holds for name in "kl")


def test_each_topic_is_spread_over_the_members():
    members = settled(group("k", "l", "m"), partitions_of({"a": 6, "b": 6}))

    for member in members.values():
        assert sorted(p.topic for p in member.holds) == ["a", "a", "b", "b"]


def test_of_two_claims_the_later_one_counts_and_two_of_one_time_count_for_nothing():
    held = frozenset({Partition("a", 0)})
    topics = frozenset({"a"})
    later = {"k": Member(topics, held, 3), "l": Member(topics, held, 4)}
    assert assign(later, held) == {"k": set(), "l": set(held)}

    same = {"k": Member(topics, held, 3), "l": Member(topics, held, 3)}
    assert assign(same, held) == {"k": set(), "l": set()}
