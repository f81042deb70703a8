import pytest

from bench.contenders import BENTHOS_BY_USER, MQ_BRIDGE_RAW, RELAY_OFF
from bench.goals import AGAINST, CPU, RATE, Bound, beyond, goals, ratios, reached

UNIFORM = "0 ms, uniform users"


def row(contender, number, *, rate=100.0, cpu=10.0, scenario=UNIFORM):
    return {
        "scenario": scenario,
        "round": number,
        "contender": contender.name,
        "events_per_second": rate,
        "cpu_us": cpu,
    }


def compared(*rows):
    return {"compare": {"found": rows}}


def lines(parts, beginning):
    return [line for line in goals(parts) if line.startswith(f"| {beginning}")]


def test_a_ratio_needs_both_in_the_same_round():
    rows = [
        row(RELAY_OFF, 0, rate=120),
        row(BENTHOS_BY_USER, 0),
        row(RELAY_OFF, 1, rate=90),
        row(BENTHOS_BY_USER, 2),
    ]
    assert ratios(rows, RELAY_OFF.name, BENTHOS_BY_USER.name, RATE) == [1.2]
    assert ratios(rows, RELAY_OFF.name, BENTHOS_BY_USER.name, CPU) == [1.0]


def test_a_round_in_which_the_other_did_nothing_has_no_ratio():
    rows = [row(RELAY_OFF, 0), row(BENTHOS_BY_USER, 0, rate=0.0)]
    assert ratios(rows, RELAY_OFF.name, BENTHOS_BY_USER.name, RATE) == []


@pytest.mark.parametrize(
    ("bound", "value", "holds"),
    [
        (Bound(1.2), 1.2, True),
        (Bound(1.2), 1.19, False),
        (Bound(0.65, at_most=True), 0.65, True),
        (Bound(0.65, at_most=True), 0.66, False),
    ],
)
def test_a_bound_is_within_itself(bound, value, holds):
    assert bound.holds(value) is holds


def test_the_median_decides_and_every_round_is_shown():
    rates = (90, 130, 125)
    rows = [row(RELAY_OFF, number, rate=rate, cpu=7) for number, rate in enumerate(rates)]
    rows += [row(BENTHOS_BY_USER, number) for number in range(3)]
    faster, cheaper = (
        line
        for what in ("events/s", "CPU per event")
        for line in lines(compared(*rows), f"{what} of {RELAY_OFF.name} against Benthos")
        if f"; {UNIFORM} |" in line
    )
    assert faster.endswith("| ≥ 1.2 | 1.25 | 0.90 · 1.30 · 1.25 | met |")
    assert cheaper.endswith("| ≤ 0.65 | 0.70 | 0.70 · 0.70 · 0.70 | **missed** |")


def test_rounds_of_other_conditions_do_not_count():
    parts = compared(row(RELAY_OFF, 0), row(BENTHOS_BY_USER, 0, scenario="20 ms, uniform users"))
    assert list(reached(parts)) == []


def test_beyond_the_wire_is_what_is_left_of_each_round_above_its_cheapest_request():
    limit = {
        "wire": [
            {"tls": False, "in_flight": 64, "cpu_us": 14.0},
            {"tls": False, "in_flight": 256, "cpu_us": 16.0},
            {"tls": True, "in_flight": 64, "cpu_us": 9.0},
        ]
    }
    rows = [row(RELAY_OFF, 0, cpu=50.0), row(RELAY_OFF, 1, cpu=48.0), row(BENTHOS_BY_USER, 0)]
    assert beyond(rows, limit) == [36.0, 34.0]
    assert beyond(rows, {}) == []


def test_memory_and_the_first_post_are_judged_from_their_parts():
    parts = {
        "memory": {"found": {"peak_mb": {"Relay": 104.0, RELAY_OFF.name: 106.0}}},
        "start_stop": {"found": {"first_post_s": [0.6, 0.9, 0.65]}},
    }
    assert [line.rpartition("; ")[2] for line in reached(parts)] == ["met", "**missed**", "met"]


def test_a_look_says_what_its_rounds_tell_and_nothing_else():
    (line,) = reached(compared(row(RELAY_OFF, 0), row(MQ_BRIDGE_RAW, 0, rate=80.0)))
    assert line.endswith("mq-bridge, in order, raw; 0 ms, uniform users: ≥ 1: 1.25; 1.25; met")


def test_no_goal_is_there_twice():
    assert len(set(map(str, AGAINST))) == len(AGAINST)
