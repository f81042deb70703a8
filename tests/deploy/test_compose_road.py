"""The commands of docker-compose.yml as they stand there, in processes instead of containers."""

import httpx
import pytest
import yaml

from scripts.generate import ROOT
from tests.support.kafka_admin import wait_for
from tests.support.road import Process

pytestmark = pytest.mark.broker
SERVICES = yaml.safe_load((ROOT / "docker-compose.yml").read_text(encoding="utf-8"))["services"]
EVENTS = (ROOT / "examples/app-events.ndjson").read_text(encoding="utf-8").count("\n")


def command(name: str, **changes: str) -> list[str]:
    """A service's command, with what only exists in a container replaced."""
    return [changes.get(part, part) for part in map(str, SERVICES[name]["command"])]


def test_the_example_events_go_all_the_way(kafka):
    topic = kafka.create_topic(partitions=6)
    kafka.create_topic(f"{topic}.dlq", partitions=6)
    sandbox_command = [*command("sandbox", **{"8080": "0", "0.0.0.0": "127.0.0.1"}), "--json"]
    with Process(sandbox_command) as sandbox:
        wait_for(lambda: bool(sandbox.lines()), 30, "the sandbox did not start")
        url = sandbox.lines()[0]["url"]
        variables = {
            **SERVICES["relay"]["environment"],
            "RELAY_KAFKA__BOOTSTRAP_SERVERS": kafka.bootstrap_servers,
            "RELAY_KAFKA__TOPICS": topic,
            "RELAY_KAFKA__GROUP_ID": f"compose-{topic}",
            "RELAY_TRACKING__BASE_URL": url,
            "RELAY_ADMIN__PORT": "0",
        }
        with Process(command("relay"), variables) as relay:
            admin = relay.until("relay_started")["admin"]
            mounted = {"/events/app-events.ndjson": str(ROOT / "examples/app-events.ndjson")}
            with Process(command("emit", **mounted), variables) as emit:
                assert emit.wait() == 0, emit.text()

            def summary() -> dict:
                return dict(httpx.get(f"{url}/_sandbox/summary").json())

            wait_for(lambda: summary()["events"] >= EVENTS, 60, "not all events arrived")
            assert summary()["out_of_order"] == 0
            status = httpx.get(f"{admin}/status").json()
            assert status["ledger"]["delivered"] == EVENTS
            assert httpx.get(f"{admin}/readyz").status_code == 200
            assert relay.terminate() == 0, relay.text()
