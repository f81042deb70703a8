"""A topic that is gone is told with what was dropped, and so is a pattern that matches nothing."""

import pytest

from relay.road.consuming.facts import PatternMatchesNothing, TopicBack, TopicGone
from relay.road.consuming.source import SourceTrouble
from relay.road.consuming.topic_watch import SAY_AGAIN_S, SURE_AFTER_S, TopicWatch
from relay.road.consuming.troubles import Troubles


@pytest.fixture
def troubles():
    return Troubles()


@pytest.fixture
def facts():
    return []


def test_a_named_topic_that_is_gone_is_told_once_with_the_number_and_is_trouble_until_back(
    troubles, facts
):
    watch = TopicWatch(["a", "b"], None, troubles, facts.append)
    watch.look(["a", "b"], 0.0)
    watch.look(["b"], 1.0)
    assert facts == []
    watch.revoked({"a": 7, "b": 3})
    for second in range(5):
        watch.look(["b"], 1.0 + SURE_AFTER_S + second)

    assert facts == [TopicGone(topic="a", records=7)]
    assert troubles.worst().trouble is SourceTrouble.TOPIC_MISSING
    assert troubles.worst().reason == "a is gone"

    watch.look(["a", "b"], 21.0)
    assert facts[1:] == [TopicBack(topic="a", after_s=20.0)]
    assert troubles.worst().trouble is None


def test_a_topic_that_the_metadata_lacks_for_a_moment_is_no_news(troubles, facts):
    watch = TopicWatch(["a"], None, troubles, facts.append)
    watch.look(["a"], 0.0)
    watch.look([], 1.0)
    watch.look(["a"], 1.0 + SURE_AFTER_S / 2)
    watch.look([], 1.0 + SURE_AFTER_S)
    watch.look([], 1.0 + SURE_AFTER_S * 1.5)

    assert facts == []


def test_a_topic_that_has_not_been_seen_is_not_gone(troubles, facts):
    watch = TopicWatch(["a"], None, troubles, facts.append)
    for second in range(10):
        watch.look([], float(second))

    assert facts == []


def test_a_topic_of_a_pattern_that_is_gone_is_told_and_is_no_trouble(troubles, facts):
    watch = TopicWatch([], "app-.*", troubles, facts.append)
    watch.look(["app-a", "app-b"], 0.0)
    for second in range(1, 10):
        watch.look(["app-b"], float(second))

    assert facts == [TopicGone(topic="app-a", records=0)]
    assert troubles.worst().trouble is None


def test_a_pattern_that_matches_nothing_is_told_now_and_then(troubles, facts):
    watch = TopicWatch([], "app-.*", troubles, facts.append)
    for second in range(round(SURE_AFTER_S + SAY_AGAIN_S) + 1):
        watch.look([], float(second))
    assert facts == [PatternMatchesNothing(pattern="app-.*", again_in_s=SAY_AGAIN_S)] * 2

    watch.look(["app-a"], 1000.0)
    watch.look([], 1001.0)
    assert len(facts) == 2
