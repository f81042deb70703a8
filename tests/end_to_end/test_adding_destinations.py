"""A datamart is added to the settings file while events flow for another: nothing restarts."""

import json
import os
import uuid

import pytest

from tests.end_to_end.test_destinations import in_order, numbers, stored
from tests.support.kafka_admin import wait_for
from tests.support.road import TOKEN, Feeder, Process, Sandbox

TOKEN_OF_DE = "another-s3cret-of-the-test"
DATAMARTS = {"fr": "11", "de": "22"}


class Shops(Feeder):
    """Events of the shops in turn."""

    shops = ("fr",)

    def event(self, user, seq):
        document = json.loads(super().event(user, seq))
        shop = self.shops[seq % len(self.shops)]
        self.expected.setdefault(shop, []).append((user, seq))
        return json.dumps(document | {"site_id": shop}).encode()


class Settings:
    """The file; replaced as a whole, as an editor or a mounted volume does."""

    def __init__(self, path, kafka, topic, url):
        self.path, self._url = path, url
        self._kafka = {
            "bootstrap_servers": kafka.bootstrap_servers,
            "topics": [topic],
            "group_id": f"{topic}-group",
        }

    def write(self, *shops, text=None, **kafka):
        destinations = [
            {
                "name": shop,
                "base_url": self._url,
                "datamart_id": DATAMARTS[shop],
                "api_token": TOKEN if shop == "fr" else TOKEN_OF_DE,
            }
            for shop in shops
        ]
        document = {
            "kafka": self._kafka | kafka,
            "destinations": destinations,
            "routing": {"field": "site_id", "table": {shop: shop for shop in shops}},
            "identity": {"default_compartment_id": "1000"},
            "admin": {"port": 0},
        }
        fresh = self.path.with_suffix(".new")
        fresh.write_text(text or json.dumps(document))
        fresh.replace(self.path)


@pytest.fixture
def running(kafka, tmp_path):
    topic = f"shops-{uuid.uuid4().hex[:8]}"
    kafka.create_topic(topic, partitions=3)
    kafka.create_topic(f"{topic}.dlq", partitions=1)
    with Sandbox("--token", TOKEN_OF_DE) as sandbox:
        # What is told of it names it, and a line cannot hold such a name as it is.
        file = tmp_path / os.fsdecode(b"caf\xe9.yaml")
        settings = Settings(file, kafka, topic, sandbox.url)
        settings.write("fr")
        with Process(["run", "--config", str(settings.path)]) as relay:
            relay.until("partitions_assigned")
            feeder = Shops(kafka, topic, 1, 20)
            feeder.expected = {}
            yield settings, feeder, relay, sandbox


def member(kafka, group):
    (found,) = kafka.admin.describe_consumer_groups([group])[group].result(30).members
    return found.member_id


@pytest.mark.broker
def test_a_destination_is_added_while_events_flow_for_another(running, kafka):
    settings, feeder, relay, sandbox = running
    group = settings._kafka["group_id"]
    before = member(kafka, group)

    def told(count):
        found = relay.said("settings_not_taken")
        return len(found) == count and found[-1]["reason"]

    with feeder.going_on(5):
        settings.write(text="destinations: [")
        wait_for(lambda: told(1), 30, "a file that cannot be read was not told")
        settings.write("fr", "de", client_id="another")
        wait_for(lambda: told(2), 30, "what needs a restart was not told")
        assert "kafka.client_id" in told(2)
        assert not relay.said("settings_changed")
        settings.write("fr", "de")
        assert relay.until("settings_changed")["destinations"] == "de"
        feeder.shops = ("fr", "de")
        feeder.send(200)

    for shop, datamart in DATAMARTS.items():
        expected = feeder.expected[shop]
        wait_for(
            lambda datamart=datamart, expected=expected: (
                len(stored(sandbox, datamart)) == len(expected)
            ),
            30,
            f"{shop} did not get its events",
        )
        events = stored(sandbox, datamart)
        in_order(events)
        assert numbers(events) == numbers(expected)
    assert member(kafka, group) == before
    assert len(relay.said("partitions_assigned")) == 1
    assert not relay.said("partitions_revoked")
    assert relay.terminate() == 0
    (last,) = relay.said("drain_ended")
    assert (last["unsettled"], last["uncommitted"]) == (0, 0)
    assert TOKEN not in relay.text()
    assert TOKEN_OF_DE not in relay.text()
