"""docker-compose.yml, as far as it can be tried without a container engine."""

import asyncio
import sys

import httpx
import pytest
import yaml

from relay.settings import load
from scripts.generate import ROOT
from tests.support.commands import parsed

COMPOSE = yaml.safe_load((ROOT / "docker-compose.yml").read_text(encoding="utf-8"))
SERVICES = COMPOSE["services"]
OURS = {name: service for name, service in SERVICES.items() if service["image"] == "relay:local"}


@pytest.mark.parametrize("name", OURS)
def test_every_command_of_ours_is_one_that_relay_takes(name):
    command = OURS[name]["command"]
    assert parsed(command) == command[0] == {"relay": "run"}.get(name, name)


@pytest.mark.parametrize("name", ["relay", "emit"])
def test_the_variables_are_settings_and_together_they_suffice(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    settings = load(None, SERVICES[name]["environment"])
    assert settings.kafka.bootstrap_servers == "kafka:19092"
    assert settings.log.format == "json"


def test_the_topics_that_are_made_are_those_that_relay_reads_and_writes(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    settings = load(None, SERVICES["relay"]["environment"])
    (script,) = [line for line in SERVICES["topics"]["command"] if "--create" in line]
    wanted = set(settings.kafka.topics)
    wanted |= {settings.dead_letter.topic.format(topic=topic) for topic in wanted}
    made = script.partition("for topic in ")[2].partition(";")[0].split()
    assert set(made) == wanted


def test_relay_sends_where_the_sandbox_listens_with_the_token_it_takes():
    command = SERVICES["sandbox"]["command"]
    variables = SERVICES["relay"]["environment"]
    port = command[command.index("--port") + 1]
    assert variables["RELAY_TRACKING__BASE_URL"] == f"http://sandbox:{port}"
    assert variables["RELAY_TRACKING__API_TOKEN"] == command[command.index("--token") + 1]


def test_a_stop_leaves_time_for_the_drain(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    settings = load(None, SERVICES["relay"]["environment"])
    grace_s = float(SERVICES["relay"]["stop_grace_period"].removesuffix("s"))
    assert grace_s > settings.delivery.stop_deadline_s + 5


def test_services_wait_for_services_that_exist():
    for service in SERVICES.values():
        assert set(service.get("depends_on", {})) <= set(SERVICES)


def test_mounted_files_exist_and_are_the_ones_that_are_emitted():
    (mount,) = SERVICES["emit"]["volumes"]
    source, target, _ = mount.split(":")
    (path,) = [part for part in SERVICES["emit"]["command"] if part.startswith(target)]
    assert (ROOT / source / path.removeprefix(target + "/")).is_file()


def test_ports_are_open_to_this_machine_only():
    for service in SERVICES.values():
        for port in service.get("ports", []):
            assert port.startswith("127.0.0.1:")


async def test_the_sandbox_s_healthcheck_works_against_a_sandbox():
    sandbox = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "relay", "sandbox", "--port", "0", "--json",
        stdout=asyncio.subprocess.PIPE,
    )  # fmt: skip
    try:
        assert sandbox.stdout is not None
        url = httpx.URL(yaml.safe_load(await sandbox.stdout.readline())["url"])
        *_, program = SERVICES["sandbox"]["healthcheck"]["test"]
        program = program.replace(":8080", f":{url.port}")
        check = await asyncio.create_subprocess_exec(sys.executable, "-c", program)
        assert await check.wait() == 0
    finally:
        sandbox.terminate()
        await sandbox.wait()
