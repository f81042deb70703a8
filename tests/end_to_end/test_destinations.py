"""Three datamarts and one topic, through a whole Relay: one is down, and the others do not notice.

The broker is the embedded one. That nothing is lost when partitions move is tested on every road.
"""

import json
import uuid

import httpx
import pytest

from relay.sandbox.embedded_broker import embedded_broker
from tests.support.kafka_admin import Kafka, wait_for
from tests.support.road import TOKEN, Feeder, Sandbox, read_topic, relay_environ, relay_run

pytestmark = pytest.mark.slow

TOPIC = "shops"
DATAMARTS = {"fr": "11", "de": "22", "es": "33"}
DOWN = {"rules": [{"kind": "status", "status": 503, "path": "/v1/datamarts/33/*"}]}


class Shops(Feeder):
    """Each event of a user in turn is of another shop; the fourth shop has no datamart."""

    shops = ("fr", "de", "es", "it")

    def event(self, user, seq):
        document = json.loads(super().event(user, seq))
        return json.dumps(document | {"site_id": self.shops[seq % 4]}).encode()


def destinations(url):
    return json.dumps(
        [
            {"name": name, "base_url": url, "datamart_id": number, "api_token": TOKEN}
            for name, number in DATAMARTS.items()
        ]
    )


@pytest.fixture
def running():
    group = f"shops-{uuid.uuid4().hex[:8]}"
    with embedded_broker(TOPIC, f"{TOPIC}.dlq") as servers, Sandbox() as sandbox:
        sandbox.faults(DOWN)
        kafka = Kafka(servers)
        environ = relay_environ(
            kafka,
            TOPIC,
            sandbox.url,
            group,
            DESTINATIONS=destinations(sandbox.url),
            ROUTING__FIELD="site_id",
        )
        environ = {k: v for k, v in environ.items() if not k.startswith("RELAY_TRACKING")}
        with relay_run(environ) as relay:
            yield kafka, sandbox, relay, str(relay.until("relay_started")["admin"])


def stored(sandbox, datamart_id):
    """The (user, seq) that a datamart stored, in the order of arrival; it names users itself."""
    return [
        (request["user"], event["seq"])
        for request in sandbox.requests()
        if f"/datamarts/{datamart_id}/" in request["path"] and request["stored"] == "new"
        for event in request["events"]
    ]


def numbers(events):
    return sorted(seq for _, seq in events)


def by_shop(feeder):
    """What each shop's datamart is to get."""
    expected = {shop: set() for shop in Shops.shops}
    for user, count in feeder.produced.good.items():
        for seq in range(count):
            expected[Shops.shops[seq % 4]].add((user, seq))
    return expected


def in_order(events):
    last = {}
    for user, seq in events:
        assert last.get(user, -1) < seq, f"{user}: {seq} after {last[user]}"
        last[user] = seq


def test_one_of_three_is_down_and_the_others_go_on(running):
    kafka, sandbox, relay, admin = running
    feeder = Shops(kafka, TOPIC, 1, 20)
    feeder.send(400)
    expected = by_shop(feeder)

    def status():
        return httpx.get(f"{admin}/status", timeout=30).json()

    wait_for(
        lambda: status()["ledger"]["open"] == len(expected["es"]),
        60,
        "more than the events of the datamart that is down are open",
    )
    wait_for(lambda: status()["destinations"]["es"]["state"] == "down", 60, "es was not found down")
    told = status()
    assert {name: one["state"] for name, one in told["destinations"].items()} == {
        "fr": "flowing",
        "de": "flowing",
        "es": "down",
    }
    pins = [one["pinned_by"] for one in told["partitions"].values() if one["pinned_by"]]
    assert told["destinations"]["es"]["pinned_partitions"] == len(pins)
    assert {pin["destination"] for pin in pins} == {"es"}

    ready = httpx.get(f"{admin}/readyz", timeout=30)
    assert ready.status_code == 200
    assert "es is down" in ready.text
    metrics = httpx.get(f"{admin}/metrics", timeout=30).text
    assert 'relay_destination_state{destination="es",state="down"} 1.0' in metrics
    assert 'relay_destination_state{destination="fr",state="flowing"} 1.0' in metrics
    assert relay.until("destination_down")["destination"] == "es"

    for shop in ("fr", "de"):
        events = stored(sandbox, DATAMARTS[shop])
        in_order(events)
        assert numbers(events) == numbers(expected[shop])

    letters = read_topic(kafka, f"{TOPIC}.dlq")
    assert len(letters) == len(expected["it"])
    for letter in letters:
        headers = dict(letter.headers())
        assert headers["relay-dlq-code"] == b"unknown_destination"
        assert "relay-dlq-destination" not in headers

    sandbox.faults({})
    wait_for(lambda: status()["ledger"]["open"] == 0, 60, "es did not get its events")
    events = stored(sandbox, DATAMARTS["es"])
    in_order(events)
    assert numbers(events) == numbers(expected["es"])
