"""The section about dead letters."""

import pytest
from pydantic import ValidationError

from relay.errors import SettingsError
from relay.settings.dead_letter import DeadLetterSettings
from relay.settings.kafka import KafkaSettings


def test_the_topic_is_named_after_the_source():
    policy = DeadLetterSettings().policy(KafkaSettings(topics=["a", "b"]))

    assert policy.topic_for("a") == "a.dlq"
    assert policy.source_topics == ("a", "b")
    assert policy.retention_ms == -1


def test_one_topic_may_take_the_dead_letters_of_all():
    policy = DeadLetterSettings(topic="dead", retention_hours=2).policy(KafkaSettings())

    assert policy.topic_for("a") == "dead"
    assert policy.retention_ms == 7_200_000


def test_with_a_pattern_the_sources_are_not_known_yet():
    assert DeadLetterSettings().policy(KafkaSettings(topic_pattern="a.*")).source_topics == ()


def test_a_name_that_is_too_long_for_kafka_with_its_topic_is_refused_at_once():
    assert DeadLetterSettings().policy(KafkaSettings(topics=["a" * 245]))
    with pytest.raises(SettingsError, match="a name of 250 characters"):
        DeadLetterSettings().policy(KafkaSettings(topics=["a" * 246]))


@pytest.mark.parametrize("topic", ["{topic}", "", "a b", "{topic}{topic}", "{name}.dlq"])
def test_a_name_that_cannot_be_is_refused(topic):
    with pytest.raises(ValidationError):
        DeadLetterSettings(topic=topic)


@pytest.mark.parametrize(
    ("topic", "topics"), [("dead", ["a", "dead"]), ("{topic}-x", ["a", "a-x"])]
)
def test_dead_letters_must_not_be_read_again(topic, topics):
    with pytest.raises(SettingsError, match="read again"):
        DeadLetterSettings(topic=topic).policy(KafkaSettings(topics=topics))
