"""`relay dlq replay --direct`: dead letters past their topic to the API, by a real broker."""

import asyncio
import json
import subprocess
import sys
from types import SimpleNamespace

import pytest

from relay.clock import SystemClock
from relay.model import DeadLetter, DeadLetterClass, Record
from relay.road.settling.dead_letter_topic import DeadLetterTopic
from relay.sandbox.app import create_app
from relay.sandbox.faults import FaultKind, FaultPlan, FaultRule
from relay.sandbox.options import SandboxOptions
from relay.sandbox.server import serve
from relay.settings.dead_letter import DeadLetterSettings
from relay.settings.kafka import KafkaSettings
from tests.support.app_events import example

pytestmark = [pytest.mark.broker, pytest.mark.slow]
COUNT = 60


@pytest.fixture
async def world(kafka, tmp_path):
    """Sixty dead letters of six users, and an API that would take them now."""
    topic = kafka.create_topic(partitions=3)
    now_ms = SystemClock().now_ms()
    letters = []
    for number in range(COUNT):
        event = {
            **example("track"),
            "id": f"e{number}",
            "ts": now_ms - 3_600_000 + number,
            "user": {"accounts": [{"id": f"u{number % 6}"}]},
        }
        user = number % 6
        record = Record(topic, user % 3, number, 0, b"u%d" % user, json.dumps(event).encode())
        letters.append(DeadLetter(record, DeadLetterClass.REFUSED, "http_400", "because"))
    settings = KafkaSettings(bootstrap_servers=kafka.bootstrap_servers, topics=[topic])
    policy = DeadLetterSettings(partitions=3).policy(settings)
    dead_letters = DeadLetterTopic(policy, lambda _: None)
    await dead_letters.start()
    await dead_letters.write(letters)
    await dead_letters.stop()
    app = create_app(SandboxOptions())
    async with serve(app) as url:
        config = tmp_path / "relay.yaml"
        config.write_text(
            json.dumps(
                {
                    "kafka": {"bootstrap_servers": kafka.bootstrap_servers, "topics": [topic]},
                    "identity": {"default_compartment_id": "1000"},
                    "tracking": {"base_url": url, "api_token": "t", "datamart_id": "1"},
                }
            )
        )
        yield SimpleNamespace(state=app.state.sandbox, config=config, kafka=kafka, topic=topic)


async def relay(world, *arguments):
    done = await asyncio.to_thread(
        subprocess.run,
        [sys.executable, "-m", "relay", "dlq", *arguments, "--config", str(world.config), "--json"],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    return done.returncode, lines, done.stderr


async def test_every_letter_is_delivered_in_its_users_order_and_nothing_is_committed(world):
    status, (report,), err = await relay(world, "replay", "--all", "--direct")

    assert (status, report) == (
        0,
        {
            "replayed": COUNT,
            "delivered": COUNT,
            "dead_lettered": 0,
            "skipped": 0,
            "returned": 0,
            "truncated": 0,
        },
    ), err
    summary = world.state.summary()
    assert (summary["activities"], summary["users"]) == (COUNT, 6)
    assert (summary["duplicates"], summary["out_of_order"]) == (0, 0)


async def test_a_letter_that_is_replayed_twice_has_the_same_unique_key(world):
    await relay(world, "replay", "--user", "u1", "--direct")
    await relay(world, "replay", "--user", "u1", "--direct")

    summary = world.state.summary()
    assert (summary["activities"], summary["duplicates"]) == (COUNT // 6, COUNT // 6)


async def test_what_dies_again_is_buried_again_with_its_history(world):
    refuse = FaultRule(kind=FaultKind.STATUS, status=422, rate=1.0)
    world.state.set_faults(FaultPlan(rules=(refuse,)))

    status, (report,), _ = await relay(world, "replay", "--user", "u2", "--direct", "--limit", "3")

    assert (status, report["dead_lettered"], report["delivered"]) == (10, 3, 0)
    _, again, _ = await relay(world, "list", "--code", "http_422")
    assert len(again) == 3
    assert {line["deaths"] for line in again} == {2}
    assert all(line["record"] == line["origin"] for line in again)
    assert all(line["record"].startswith(world.topic + "-2-") for line in again)
