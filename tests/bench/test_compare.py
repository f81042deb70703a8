import pytest

from bench.compare import SIZES, Scenario, estimate, events_for, looks, scenarios, seconds
from bench.contenders import CONTENDERS, RELAY, Contender, available, chosen
from bench.goals import AGAINST
from bench.machine import BenchError
from bench.trial import Conditions


def contender(name="one", *, order="none", slots=1, rate=1_000.0, prepare=bool):
    return Contender(name, "", order, slots, rate, lambda _: [], prepare=prepare)


def scenario(*contenders, conditions=None, rounds=1, zipf=0):
    return Scenario(conditions or Conditions(), zipf, contenders, rounds)


def no_toolchain():
    raise BenchError("there is no `go` on the path")


def test_who_cannot_be_started_here_is_left_out_with_the_reason(capsys):
    able = available([contender("a"), contender("b", prepare=no_toolchain), contender("c")])
    assert [one.name for one in able] == ["a", "c"]
    assert capsys.readouterr().out == "left out: b: there is no `go` on the path\n"


def test_without_a_choice_all_are_chosen():
    assert chosen([]) == list(CONTENDERS)


def test_relay_is_always_chosen_as_ratios_are_to_it():
    names = [one.name for one in chosen(["benthos"])]
    assert names[0] == RELAY.name
    assert len(names) > 1
    assert all(name.startswith("Benthos") for name in names[1:])


def test_in_full_whom_the_goals_speak_of_meet_each_of_their_scenarios_five_times():
    todo = {one.name: one for one in scenarios(CONTENDERS, full=True)}
    assert {goal.scenario for goal in AGAINST} == set(todo)
    for goal in AGAINST:
        one = todo[goal.scenario]
        assert {goal.ours, goal.theirs} <= set(one.contenders)
        assert one.rounds == 5


def test_in_full_everybody_is_seen_at_full_speed_and_nobody_twice():
    for one in scenarios(CONTENDERS, full=True):
        everybody = [*one.contenders, *one.others]
        assert len(everybody) == len(set(everybody))
        if one.name in ("0 ms, Zipf users", "0 ms, uniform users"):
            assert set(everybody) == set(CONTENDERS)


def test_the_full_comparison_is_expected_to_end_within_35_minutes():
    assert seconds(scenarios(CONTENDERS, full=True)) < 35 * 60


def test_every_round_begins_with_another_contender_and_the_others_leave_after_theirs():
    a, b, c = map(contender, "abc")
    one = Scenario(Conditions(), 0, [a, b], 3, others=[c], other_rounds=2)
    assert [(number, who.name) for number, who in one.trials()] == [
        *((0, "a"), (0, "b"), (0, "c")),
        *((1, "b"), (1, "c"), (1, "a")),
        *((2, "a"), (2, "b")),
    ]


def test_a_look_is_at_the_scenarios_whose_name_begins_so_with_everyone_who_was_chosen():
    (one,) = looks(["0 MS, uniform"], [contender("a"), contender("b")], 2)
    assert one.name == "0 ms, uniform users"
    assert [(number, who.name) for number, who in one.trials()] == [
        *((0, "a"), (0, "b")),
        *((1, "b"), (1, "a")),
    ]
    assert {one.name for one in looks(["20 ms", "0 ms, TLS"], [], 1)} == {
        "20 ms, uniform users",
        "20 ms, Zipf users",
        "0 ms, TLS, uniform users",
    }
    assert looks(["21 ms"], [], 1) == []


def test_the_clock_bounds_what_the_slowest_adds():
    slow = scenario(contender(rate=0.001), conditions=Conditions(seconds_max=10), rounds=3)
    slower = scenario(contender(rate=0.0001), conditions=Conditions(seconds_max=10), rounds=3)
    assert seconds([slow]) == seconds([slower])
    assert seconds([slow, slower]) == 2 * seconds([slow])


def test_a_quicker_contender_never_gets_fewer_events():
    sizes = [events_for(contender(rate=rate), scenario()) for rate in (1, 500, 5_000, 50_000)]
    assert sizes == sorted(sizes)
    assert sizes[0] == SIZES[0]
    assert sizes[-1] == SIZES[-1]


@pytest.mark.parametrize(("order", "slower"), [("per partition", True), ("none", False)])
def test_under_faults_who_waits_in_order_is_expected_to_be_slower(order, slower):
    one = contender(order=order, slots=256, rate=10_000)
    smooth = estimate(one, scenario(zipf=1.1))
    faulty = estimate(one, scenario(zipf=1.1, conditions=Conditions(0, "429:0.02,500:0.01")))
    assert (faulty < smooth) is slower
