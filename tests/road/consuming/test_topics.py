"""A pattern reads whole names, and never the dead letters of what it reads."""

import re

import pytest

from relay.road.consuming.topics import reading_pattern
from relay.settings.kafka import KafkaSettings


def reads(pattern, topic, dead_letter_topic="{topic}.dlq"):
    policy = KafkaSettings(topic_pattern=pattern).consumer(dead_letter_topic)
    return re.match(reading_pattern(policy), topic) is not None


@pytest.mark.parametrize(
    ("pattern", "topic", "read"),
    [
        ("app-.*", "app-events", True),
        ("app-.*", "app-events.dlq", False),
        ("app-.*", "app-events.dlq.new", True),
        ("app-.*", "my-app-events", False),
        ("app", "app-events", False),
        ("a|b", "b", True),
        ("a|b", "ab", False),
        (".*", "x.dlq", False),
    ],
)
def test_whole_names_and_no_dead_letters(pattern, topic, read):
    assert reads(pattern, topic) is read


def test_a_dead_letter_topic_for_all_is_not_read_either():
    assert not reads(".*", "dead.letters", dead_letter_topic="dead.letters")
    assert reads(".*", "dead-letters", dead_letter_topic="dead.letters")


def test_without_a_pattern_topics_are_named():
    assert reading_pattern(KafkaSettings().consumer("{topic}.dlq")) is None
