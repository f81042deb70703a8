"""A cluster that falls silent is reported once a minute, with the reason, and when it is back."""

import pytest

from relay.road.consuming.silence import SAY_AGAIN_S, SILENCE_S, SilenceWatch
from relay.settings.kafka import KafkaSettings
from relay.telemetry.facts import KafkaHeard, KafkaSilent


@pytest.fixture
def told():
    return []


@pytest.fixture
def watch(told):
    return SilenceWatch(KafkaSettings(bootstrap_servers="localhost:1").client(), told.append)


async def test_a_cluster_that_answers_is_no_news(watch, told):
    for second in range(100):
        await watch.look(second, second)

    assert told == []


async def test_silence_is_told_once_a_minute_and_its_end_once(watch, told):
    await watch.look(7, 0.0)
    end = 2 * SAY_AGAIN_S
    for second in range(1, round(end)):
        await watch.look(7, second)
    await watch.look(8, end)
    await watch.look(9, end + 1)

    assert [type(fact) for fact in told] == [KafkaSilent, KafkaSilent, KafkaHeard]
    assert told[0].seconds == SILENCE_S + 1
    assert "localhost:1" in told[0].reason
    assert told[2].after_s == end


@pytest.mark.parametrize("still", [SILENCE_S, SILENCE_S / 2])
async def test_a_short_pause_is_no_silence(watch, told, still):
    await watch.look(1, 0.0)
    await watch.look(1, still)

    assert told == []


async def test_nothing_to_fetch_is_no_silence(watch, told):
    await watch.look(1, 0.0)
    for second in range(100):
        await watch.look(None, second)

    assert told == []


@pytest.mark.broker
async def test_brokers_that_answer_others_are_told_apart(kafka, told):
    watch = SilenceWatch(
        KafkaSettings(bootstrap_servers=kafka.bootstrap_servers).client(), told.append
    )

    await watch.look(1, 0.0)
    await watch.look(1, SILENCE_S + 1)

    assert told[0].reason == "the brokers answer, but not to this consumer"
