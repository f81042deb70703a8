import pytest

from bench.compare import SIZES, Scenario, estimate, events_for, scenarios, seconds
from bench.contenders import CONTENDERS, RELAY, Contender, available, chosen
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


def test_in_full_whoever_keeps_an_order_meets_every_scenario_three_times():
    todo = scenarios(CONTENDERS, full=True)
    assert {one.name for one in todo} == {
        f"{conditions}, {users} users"
        for conditions in ("0 ms", "20 ms", "50 ms", "0 ms, 2 % 429 and 1 % 500")
        for users in ("Zipf", "uniform")
    }
    ordered = [c for c in CONTENDERS if c.order != "none" and c.processes == 1]
    for one in todo:
        everyone = one.name in ("0 ms, Zipf users", "0 ms, uniform users")
        assert list(one.contenders) == (list(CONTENDERS) if everyone else ordered)
        assert one.rounds == 3


def test_the_full_comparison_is_expected_to_end_within_55_minutes():
    assert seconds(scenarios(CONTENDERS, full=True)) < 55 * 60


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
