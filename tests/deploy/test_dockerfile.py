"""The Dockerfile, as far as it can be tried without a container engine."""

import asyncio
import json
import os
import re
import sys
import tomllib

import pytest

from relay.telemetry.admin import admin_app, new_registry, serve_admin
from relay.telemetry.health import Health
from scripts.generate import ROOT
from tests.support.commands import parsed

TEXT = (ROOT / "deploy/Dockerfile").read_text(encoding="utf-8").replace("\\\n", " ")


def instruction(name: str) -> list[str]:
    return re.findall(rf"^{name}\s+(.+)$", TEXT, re.MULTILINE)


def test_what_is_copied_exists_and_is_not_ignored():
    kept = set(re.findall(r"^!(\S+)$", (ROOT / ".dockerignore").read_text(), re.MULTILINE))
    for line in instruction("COPY"):
        if "--from" not in line:
            *sources, _ = line.split()
            for source in sources:
                path = source.removeprefix("./")
                assert (ROOT / path).exists()
                assert path in kept


def test_everything_that_the_build_needs_is_copied():
    copied = " ".join(instruction("COPY"))
    for name in ("pyproject.toml", "requirements", "README.md", "LICENSE", "relay"):
        assert name in copied


def test_all_that_is_installed_is_checked_against_a_hash():
    """Relay itself is the folder beside it, and is installed without looking elsewhere."""
    assert "PIP_REQUIRE_HASHES=1" in TEXT
    hashed, ours = TEXT.split("PIP_REQUIRE_HASHES=0")
    for file in re.findall(r"-r (requirements/\S+?\.txt)", TEXT):
        assert file in hashed
        assert (ROOT / file).is_file()
    assert "requirements/production.txt" in hashed
    assert "pip wheel --no-deps --no-build-isolation" in ours
    assert "install --no-index --no-deps" in ours


def test_the_image_has_what_every_setting_needs():
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"][
        "optional-dependencies"
    ]
    assert extras["image"] == ["mics-relay[avro,http2,otel,protobuf,s3]"]
    assert set(extras) == {"avro", "demo", "dev", "http2", "image", "otel", "protobuf", "s3"}


def test_the_sandbox_and_the_demo_are_left_out_unless_asked_for():
    (built,) = re.findall(r"--wheel-dir dist\s+(.+?)\s+&&", TEXT)
    assert built.split() == [".", "${WITH_DEMO:+./deploy/demo}"]
    assert instruction("ARG") == ["BASE=python:3.11-slim-bookworm", "WITH_DEMO=", "BASE"]


def test_both_stages_stand_on_the_one_base_that_can_be_pinned():
    assert instruction("FROM") == ["${BASE} AS build", "${BASE}"]


def test_it_does_not_run_as_root():
    assert instruction("USER") == ["10001:10001"]


def test_its_command_is_one_of_relay_s():
    (entry,), (command,) = instruction("ENTRYPOINT"), instruction("CMD")
    whole = [*json.loads(entry), *json.loads(command)]
    assert whole[0] == "relay"
    assert parsed(whole[1:]) == "run"


class Process:
    """A status source that lives, or does not."""

    def __init__(self, *, alive: bool) -> None:
        self.alive = alive

    def liveness(self) -> Health:
        return Health(ok=self.alive, reason="as the test says")

    def readiness(self) -> Health:
        return Health(ok=False, reason="no matter")

    def status(self) -> dict:
        return {}

    def metrics(self) -> list:
        return []


async def healthcheck(port: str) -> int:
    (command,) = re.findall(r"HEALTHCHECK .*?CMD (\[.*\])", TEXT)
    program, *arguments = json.loads(command)
    assert program == "python"
    run = await asyncio.create_subprocess_exec(
        sys.executable,
        *arguments,
        env={**os.environ, "RELAY_ADMIN__PORT": port},  # noqa: TID251 - for another process
        stderr=asyncio.subprocess.DEVNULL,
    )
    return await run.wait()


@pytest.mark.parametrize("alive", [True, False])
async def test_the_healthcheck_is_the_liveness_of_the_process(alive):
    source = Process(alive=alive)
    async with serve_admin(admin_app(source, new_registry(source)), "127.0.0.1", 0) as address:
        port = address.rpartition(":")[2]
        assert (await healthcheck(port) == 0) is alive
    assert await healthcheck(port) != 0, "nobody listens any more"
