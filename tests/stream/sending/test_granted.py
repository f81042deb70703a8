"""Rate limiters in every shape, before the engine, in virtual time: `bench.limiters` runs them."""

import itertools

import pytest

from bench.limiters import Model, Simulated, models
from relay.sandbox.limiters import CountedBy, Limiter, LimiterKind, LimiterRule
from relay.stream.sending.granted import GrantedRate
from relay.stream.sending.timeline import Timeline

MODELS = list(models())
SECONDS = 40.0


@pytest.mark.parametrize("model", MODELS, ids=[model.name for model in MODELS])
def test_what_a_limiter_grants_is_used_and_little_is_refused(model):
    found = Simulated(model).run(SECONDS)
    assert found.of_granted >= 0.9
    assert found.refused_share <= 0.05
    # Where nothing is asked, a wait between two tries grows no longer than this.
    assert found.longest_pause_s <= max(found.longest_asked_s, 5.0)
    if found.longest_asked_s:
        assert found.longest_pause_s <= found.longest_asked_s + 0.01


@pytest.mark.storm(cases=18)
@pytest.mark.parametrize("seed", [2, 3])
@pytest.mark.parametrize("model", MODELS, ids=[model.name for model in MODELS])
def test_the_same_for_other_seeds(model, seed):
    found = Simulated(model, seed).run(60.0)
    assert found.of_granted >= 0.9
    assert found.refused_share <= 0.05


@pytest.mark.storm
def test_a_limiter_that_is_lifted_is_forgotten():
    model = Model("", LimiterRule(kind=LimiterKind.TOKEN_BUCKET, per_second=20.0, burst=5), 20.0)
    run = Simulated(model)
    run.run(30.0)
    before = run.engine.custody.ledger.delivered
    run.limiter = Limiter(LimiterRule(kind=LimiterKind.TOKEN_BUCKET, per_second=1e6, burst=10**6))
    run.run(150.0)
    assert run.engine.sender.destination.routes["activity"].rate is None
    assert run.engine.custody.ledger.delivered - before > 5 * 20 * 120


def test_what_is_refused_whatever_the_rate_does_not_bring_the_rate_to_nothing():
    """One in five at random: fewer requests would not be refused less often."""
    granted = GrantedRate(0.0, Timeline())
    rate_of_answers = 100.0
    count = itertools.count()
    now = 0.0
    while now < 60.0:
        now += 1 / min(rate_of_answers, granted.rate or rate_of_answers)
        if next(count) % 5 == 0:
            granted.refused(0.0, 1, now - 0.05, now)
        else:
            granted.accepted(1, now)
    assert granted.rate is None or granted.rate > 30.0


def rates_while_refused(granted, refused, seconds, now=0.0):
    """The rate after each answer, with this share of them refused, whatever the rate is."""
    due = 0.0
    until = now + seconds
    while now < until:
        now += 1 / min(100.0, granted.rate or 100.0)
        due += refused
        if due >= 1:
            due -= 1
            granted.refused(0.0, 1, now - 0.05, now)
        else:
            granted.accepted(1, now)
        yield granted.rate


def test_in_a_group_the_rate_is_kept_while_others_are_too_fast():
    """Whoever let go of the rate then would be too fast for all others, and they would follow."""
    granted = GrantedRate(0.0, Timeline())
    granted.alone = False
    rates = list(rates_while_refused(granted, 0.5, 60.0))
    learned = rates.index(next(rate for rate in rates if rate is not None))
    assert all(rate is not None and rate > 5.0 for rate in rates[learned:])
    # Once fewer are refused, those count again.
    kept = granted.rate
    *_, calm = rates_while_refused(granted, 0.02, 20.0, 60.0)
    *_, cut = rates_while_refused(granted, 0.5, 20.0, 80.0)
    assert calm >= kept > cut


def test_in_a_group_what_refuses_whatever_the_rate_is_found_out_later():
    granted = GrantedRate(0.0, Timeline())
    granted.alone = False
    assert None in list(rates_while_refused(granted, 0.2, 120.0))[500:]


@pytest.mark.parametrize("refusals", [1, 2])
def test_a_refusal_before_a_silence_is_no_window(refusals):
    """One record is asked to wait, then nothing is answered for a while: the process was busy."""
    granted = GrantedRate(0.0, Timeline())
    granted.accepted(1, 0.1)
    for _ in range(refusals):
        granted.refused(30.0, 16, 0.1, 0.2)
    granted.accepted(15, 3.0)
    assert granted.rate is None


def test_refusals_of_all_before_a_silence_are_a_window():
    granted = GrantedRate(0.0, Timeline())
    for tenth in range(100):
        granted.accepted(4, tenth / 10)
    for _ in range(4):
        granted.refused(10.0, 4, 9.9, 10.0)
    granted.accepted(1, 20.0)
    assert granted.rate == pytest.approx(10, rel=0.1)


def test_the_timeline_counts_the_last_minute():
    timeline = Timeline()
    for tenth in range(1000):
        now = tenth / 10
        if now >= timeline.mark_at:
            timeline.mark(now)
        timeline.count += 1
    assert timeline.accepted_since(99.0) == pytest.approx(10, abs=2)
    assert timeline.accepted_since(90.0) == pytest.approx(100, abs=3)
    assert timeline.accepted_since(50.0) == pytest.approx(500, abs=4)


# -- the models themselves --------------------------------------------------------------------


def taken(rule, seconds, per_second):
    """How many a limiter accepts of so many a second."""
    limiter = Limiter(rule)
    accepted = 0
    for number in range(int(seconds * per_second)):
        passed = limiter.take("/x", b"{}", number / per_second)
        accepted += passed.taken.accepted
        passed.done()
    return accepted


@pytest.mark.parametrize(
    ("rule", "accepted"),
    [
        (LimiterRule(kind=LimiterKind.TOKEN_BUCKET, per_second=10.0, burst=50), 10 * 20 + 49),
        (LimiterRule(kind=LimiterKind.FIXED_WINDOW, limit=30, window_s=2.0), 300),
        (LimiterRule(kind=LimiterKind.SLIDING_WINDOW, limit=30, window_s=2.0), 300),
        (LimiterRule(kind=LimiterKind.CONCURRENCY, limit=1), 2000),
    ],
)
def test_each_model_grants_what_it_says(rule, accepted):
    assert taken(rule, 20.0, 100) == pytest.approx(accepted, abs=2)


def test_a_limiter_of_each_user_refuses_nobody_else():
    limiter = Limiter(
        LimiterRule(kind=LimiterKind.FIXED_WINDOW, limit=1, window_s=10.0, by=CountedBy.USER)
    )
    a, b = (b'{"$user_identifiers":[{"id":"%b"}]}' % name for name in (b"a", b"b"))
    assert [limiter.take("/x", body, 0.0).taken.accepted for body in (a, a, b)] == [
        True,
        False,
        True,
    ]


def test_a_limiter_is_about_its_paths_only():
    limiter = Limiter(LimiterRule(kind=LimiterKind.CONCURRENCY, limit=1, path="*/user_points/*"))
    assert limiter.take("/v1/user_activities", b"", 0.0) is None
    assert limiter.take("/v1/user_points/1", b"", 0.0) is not None


@pytest.mark.parametrize(
    "values",
    [
        {"kind": "token_bucket"},
        {"kind": "token_bucket", "per_second": 1.0, "limit": 1},
        {"kind": "fixed_window"},
        {"kind": "fixed_window", "limit": 1, "per_second": 1.0},
    ],
)
def test_a_rule_that_lacks_or_mixes_its_fields_is_refused(values):
    with pytest.raises(ValueError, match="token_bucket"):
        LimiterRule(**{**values, "kind": LimiterKind(values["kind"])})
