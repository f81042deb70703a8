"""The judge of the end-to-end runs: what it must notice, on logs made by hand."""

from tests.support.judge import Event, Letter, Produced, judge


def request(n, key, *numbers, user="user-1", lost=False, stored="new"):
    return {
        "stored": stored,
        "stored_n": None if stored == "no" else n,
        "unique_key": key,
        "identifiers": [f"user_account:1000:{user}"],
        "events": [{"seq": number} for number in numbers],
        "answer_lost": lost,
    }


def letter(offset, number=None, user="user-1"):
    event = None if number is None else Event(user, number)
    return Letter(("topic", "0", str(offset)), f"topic.dlq-0-{offset}", "http_400", event)


def produced(count, **more):
    return Produced(good={"user-1": count}, **more)


def test_all_there_in_order_is_nothing_to_complain_about():
    found = judge(produced(4), [request(1, "a", 0, 1), request(2, "b", 2), request(3, "c", 3)], [])
    assert (found.delivered, found.lost, found.order_breaks) == (4, 0, 0)
    assert (found.duplicates, found.repeats, found.travelled_together) == (0, 0, 1)


def test_an_event_that_was_stored_nowhere_is_lost():
    found = judge(produced(3), [request(1, "a", 0), request(2, "b", 1, stored="no")], [])
    assert (found.delivered, found.lost) == (1, 2)


def test_an_event_that_only_died_is_lost_and_a_malformed_record_that_died_is_not():
    given = produced(1, bad=1, refused={Event("user-1", 0)})
    assert judge(given, [], [letter(0, 0), letter(1)]).lost == 1
    assert judge(given, [request(1, "a", 0)], [letter(0, 0), letter(1)]).lost == 0
    assert judge(given, [request(1, "a", 0)], [letter(0, 0)]).lost == 1


def test_order_is_that_of_storing_within_and_between_requests():
    within = judge(produced(2), [request(1, "a", 1, 0)], [])
    between = judge(produced(2), [request(2, "a", 0), request(1, "b", 1)], [])
    others = judge(
        Produced(good={"user-1": 1, "user-2": 2}),
        [request(1, "a", 0, 1, user="user-2"), request(2, "b", 0)],
        [],
    )
    assert (within.order_breaks, between.order_breaks, others.order_breaks) == (1, 1, 0)


def test_only_what_was_dead_may_come_late():
    late = [request(1, "a", 1), request(2, "b", 0)]
    refused = produced(2, refused={Event("user-1", 0)})
    assert judge(refused, late, []).order_breaks == 1
    found = judge(refused, late, [letter(0, 0)])
    assert (found.order_breaks, found.replayed, found.wrongly_dead_lettered) == (0, 1, 0)
    assert judge(produced(2), late, [letter(0, 0)]).wrongly_dead_lettered == 1


def test_what_is_stored_again_is_a_duplicate_or_under_another_key_a_repeat():
    again = [request(1, "ab", 0, 1), request(2, "ab", 0, 1), request(3, "a", 0), request(4, "b", 1)]
    found = judge(produced(2, joinable={"user-1"}), again, [])
    assert (found.duplicates, found.repeats, found.foreign_repeats) == (2, 2, 0)
    assert (found.unaccounted, found.order_breaks) == (4, 0)
    assert judge(produced(2), again, []).foreign_repeats == 2


def test_what_was_produced_twice_or_replayed_may_be_stored_twice():
    again = [request(1, "a", 0), request(2, "a", 0), request(3, "b", 1), request(4, "b", 1)]
    given = produced(2, twice={Event("user-1", 0)}, refused={Event("user-1", 1)})
    found = judge(given, again, [letter(0, 1)])
    assert (found.unaccounted, found.passed_twice, found.duplicates) == (0, 1, 2)


def test_a_key_belongs_to_its_events():
    assert judge(produced(2), [request(1, "a", 0), request(2, "a", 0, 1)], []).reused_keys == 1
    assert judge(produced(1), [request(1, "a", 0), request(2, "a", 0)], []).reused_keys == 0


def test_an_answer_that_is_lost_is_lost_for_each_of_its_events():
    assert judge(produced(2), [request(1, "a", 0, 1, lost=True)], []).answers_lost == 2
