"""The admin port over real HTTP."""

import asyncio
import signal
import socket
from collections.abc import Iterator

import httpx
import pytest
from prometheus_client import Metric
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.parser import text_string_to_metric_families

from relay.errors import SettingsError
from relay.stream.mapping.codes import MappingCode
from relay.telemetry.admin import admin_app, new_registry, serve_admin
from relay.telemetry.health import Health, Roads


class Pipeline:
    """A status source that says what the test set."""

    def __init__(self) -> None:
        self.ready = Health(ok=True, reason="running")
        self.alive = Health(ok=True, reason="progress 0.1 s ago")
        self.skipped: dict = {}

    def readiness(self) -> Health:
        return self.ready

    def liveness(self) -> Health:
        return self.alive

    def status(self) -> dict:
        return {"lifecycle": "running", "in_flight": 3, "skipped": self.skipped}

    def metrics(self) -> Iterator[Metric]:
        yield GaugeMetricFamily("relay_in_flight", "Requests under way.", value=3)


@pytest.fixture
def pipeline():
    return Pipeline()


@pytest.fixture
async def client(pipeline):
    app = admin_app(pipeline, new_registry(pipeline))
    async with (
        serve_admin(app, "127.0.0.1", 0) as address,
        httpx.AsyncClient(base_url=address, timeout=30) as client,
    ):
        yield client


async def test_livez_and_readyz_are_200_with_the_reason(client):
    for path, word in (("/livez", "alive"), ("/readyz", "ready")):
        answer = await client.get(path)
        assert answer.status_code == 200
        assert answer.headers["content-type"] == "application/json"
        assert answer.json()[word] is True
        assert answer.json()["reason"]


async def test_not_ready_is_503_with_the_reason_and_still_alive(client, pipeline):
    pipeline.ready = Health(ok=False, reason="held: the API refuses the token (http_401)")
    answer = await client.get("/readyz")
    assert answer.status_code == 503
    assert answer.json() == {"ready": False, "reason": "held: the API refuses the token (http_401)"}
    assert (await client.get("/livez")).status_code == 200


async def test_a_status_that_counts_by_code_is_shown(client, pipeline):
    pipeline.skipped = {MappingCode.CONSENT_REFUSED: 7}
    answer = await client.get("/status")
    assert answer.status_code == 200
    assert answer.json()["skipped"] == {"consent_refused": 7}


async def test_two_roads_are_ready_and_alive_when_both_are(pipeline):
    beside = Pipeline()
    both = Roads(pipeline, {"segments": beside})
    assert both.readiness().ok
    assert both.liveness().ok
    beside.ready = Health(ok=False, reason="segments: held")
    beside.alive = Health(ok=False, reason="segments: stuck")
    assert both.readiness() == beside.ready
    assert both.liveness() == beside.alive
    pipeline.ready = Health(ok=False, reason="held")
    assert both.readiness() == pipeline.ready
    assert both.status() == pipeline.status() | {"segments": beside.status()}
    assert len(list(both.metrics())) == 2


async def test_not_alive_is_503_with_the_reason(client, pipeline):
    pipeline.alive = Health(ok=False, reason="no progress for 300 s")
    answer = await client.get("/livez")
    assert (answer.status_code, answer.json()["reason"]) == (503, "no progress for 300 s")


async def test_status_is_the_pipeline_s_own_json(client):
    expected = {"lifecycle": "running", "in_flight": 3, "skipped": {}}
    assert (await client.get("/status")).json() == expected


async def test_text_that_json_cannot_hold_is_escaped(client, pipeline):
    pipeline.skipped = {"caf\udce9": 1}
    pipeline.ready = Health(ok=False, reason="cannot read caf\udce9")
    status = await client.get("/status")
    assert (status.status_code, status.json()["skipped"]) == (200, {"caf\\udce9": 1})
    ready = await client.get("/readyz")
    assert (ready.status_code, ready.json()["reason"]) == (503, "cannot read caf\\udce9")


async def test_metrics_are_a_snapshot_in_the_text_format(client):
    answer = await client.get("/metrics")
    assert answer.headers["content-type"].startswith("text/plain")
    families = {family.name: family for family in text_string_to_metric_families(answer.text)}
    assert families["relay_in_flight"].samples[0].value == 3
    assert "process_resident_memory_bytes" in families


async def test_a_scraper_may_ask_for_openmetrics(client):
    answer = await client.get("/metrics", headers={"accept": "application/openmetrics-text"})
    assert answer.headers["content-type"].startswith("application/openmetrics-text")
    assert answer.text.endswith("# EOF\n")


async def test_there_is_nothing_else(client):
    assert (await client.get("/")).status_code == 404
    assert (await client.post("/livez")).status_code == 405


async def test_a_taken_port_is_one_clear_error(pipeline):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(SettingsError, match=rf"^admin: 127\.0\.0\.1:{port} is taken"):
            async with serve_admin(admin_app(pipeline, new_registry(pipeline)), "127.0.0.1", port):
                pass


async def test_an_address_of_another_machine_is_one_clear_error(pipeline):
    with pytest.raises(SettingsError, match=r"^admin: 192\.0\.2\.1:0 cannot be used"):
        async with serve_admin(admin_app(pipeline, new_registry(pipeline)), "192.0.2.1", 0):
            pass


async def test_signals_stay_ours_while_it_serves(pipeline):
    received = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, received.set)
    try:
        before = signal.getsignal(signal.SIGINT)
        app = admin_app(pipeline, new_registry(pipeline))
        async with serve_admin(app, "127.0.0.1", 0) as address, httpx.AsyncClient() as client:
            assert signal.getsignal(signal.SIGINT) is before
            signal.raise_signal(signal.SIGTERM)
            await asyncio.wait_for(received.wait(), 5)
            assert (await client.get(address + "/livez")).status_code == 200
    finally:
        asyncio.get_running_loop().remove_signal_handler(signal.SIGTERM)


async def test_the_port_is_free_again_afterwards(pipeline):
    app = admin_app(pipeline, new_registry(pipeline))
    async with serve_admin(app, "127.0.0.1", 0) as address:
        port = int(address.rpartition(":")[2])
    async with serve_admin(app, "127.0.0.1", port) as again:
        assert again == address


async def test_what_goes_wrong_in_the_block_comes_out_and_the_server_is_gone(pipeline):
    app = admin_app(pipeline, new_registry(pipeline))
    with pytest.raises(ExceptionGroup) as caught:
        async with serve_admin(app, "127.0.0.1", 0) as address:
            raise SettingsError("stop")
    assert caught.group_contains(SettingsError, match="stop")
    async with httpx.AsyncClient() as client:
        with pytest.raises(httpx.ConnectError):
            await client.get(address + "/livez")
