"""Plan, request and chance in; which fault comes out."""

import json
import random
import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from relay.sandbox.faults import Described, FaultPlan, Tally, decide, explain, tallied

POST = Described("POST", "/v1/datamarts/1/user_activities", b'{"who": "a-1"}')
PUT = Described("PUT", "/v1/datamarts/1/user_points/x/user_choices", b"{}")


def run(plan: FaultPlan, requests: list[Described]) -> list[int | None]:
    rng = random.Random(plan.seed)
    tallies = [Tally() for _ in plan.rules]
    hits = []
    for request in requests:
        decision = decide(plan, request, tallies, rng)
        tallies = tallied(tallies, decision)
        hits.append(decision.rule)
    return hits


def plan(*rules, **fields) -> FaultPlan:
    return FaultPlan.model_validate_json(json.dumps({"rules": rules, **fields}))


def test_an_empty_plan_has_no_faults():
    assert run(plan(), [POST] * 3) == [None] * 3


def test_the_first_rule_that_applies_wins():
    both = plan({"kind": "closed", "method": "PUT"}, {"kind": "status", "status": 503})
    assert run(both, [PUT, POST]) == [0, 1]


@pytest.mark.parametrize(
    ("scope", "hits"),
    [
        ({"method": "POST"}, [0, None]),
        ({"path": "*/user_activities"}, [0, None]),
        ({"path": "/v1/datamarts/2/*"}, [None, None]),
        ({"contains": "a-1"}, [0, None]),
        ({}, [0, 0]),
    ],
)
def test_a_rule_keeps_to_its_scope(scope, hits):
    assert run(plan({"kind": "closed", **scope}), [POST, PUT]) == hits


def test_skip_and_times_frame_a_rule():
    assert run(plan({"kind": "closed", "skip": 2, "times": 2}), [POST] * 6) == [
        None,
        None,
        0,
        0,
        None,
        None,
    ]


@given(st.integers(), st.floats(min_value=0.05, max_value=0.95))
def test_one_seed_gives_the_same_faults(seed, rate):
    seeded = plan({"kind": "closed", "rate": rate}, seed=seed)
    assert run(seeded, [POST] * 50) == run(seeded, [POST] * 50)


def test_a_rate_is_about_the_share_of_requests_that_are_hit():
    hits = run(plan({"kind": "closed", "rate": 0.2}, seed=7), [POST] * 5000)
    assert 900 < hits.count(0) < 1100


def test_a_latency_is_fixed_or_drawn_from_its_range():
    rng = random.Random(1)
    assert decide(plan(latency_ms=5), POST, [], rng).latency_ms == 5
    drawn = {decide(plan(latency_ms=[5, 9]), POST, [], rng).latency_ms for _ in range(50)}
    assert len(drawn) > 10
    assert all(5 <= latency <= 9 for latency in drawn)


def test_a_delay_belongs_to_the_rule_that_hits():
    slow = plan({"kind": "slow", "delay_ms": 40, "method": "POST"})
    rng = random.Random(1)
    assert decide(slow, POST, [Tally()], rng).delay_ms == 40
    assert decide(slow, PUT, [Tally()], rng).delay_ms == 0


@pytest.mark.parametrize(
    ("rule", "says"),
    [
        ({"kind": "status"}, "needs a status"),
        ({"kind": "closed", "status": 500}, "needs a status"),
        ({"kind": "status", "status": 200}, "rules.0.status"),
        ({"kind": "closed", "rate": 1.5}, "rules.0.rate"),
        ({"kind": "explode"}, "rules.0.kind"),
        ({"kind": "closed", "often": 1}, "rules.0.often"),
    ],
)
def test_a_plan_that_makes_no_sense_is_refused_with_the_field(rule, says):
    with pytest.raises(ValidationError) as caught:
        plan(rule)
    assert says in explain(caught.value)


def test_the_plan_in_the_documentation_is_one():
    page = Path(__file__).parents[2] / "docs" / "SANDBOX.md"
    examples = re.findall(r"```json\n(.*?)```", page.read_text(encoding="utf-8"), re.DOTALL)
    plans = [FaultPlan.model_validate_json(example) for example in examples]
    assert [bool(plan.rules) or bool(plan.limiters) for plan in plans] == [True, True]
    assert len(plans[0].rules) == 6
