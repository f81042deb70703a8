"""The OpenAPI document and the sandbox agree: schemathesis tries to prove the opposite."""

import asyncio
import subprocess
import sys
from pathlib import Path

import pytest

from relay.sandbox.app import create_app
from relay.sandbox.options import SandboxOptions
from relay.sandbox.server import serve
from relay.sandbox.user_points_api import HANDLERS, SELECTORS

pytestmark = pytest.mark.slow

TOKEN = "secret"
VENDOR = ["--include-path-regex", "^/v1/"]
ONE_SELECTOR = ["--include-path-regex", "user_activities$|/user_agent_id="]
# A fault or a reset would change what the other calls answer.
CONTROL = ["--include-path-regex", "^/_sandbox/"]


async def schemathesis(directory: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run it against a sandbox of its own, and come back with what it found."""
    app = create_app(SandboxOptions(tokens=frozenset({TOKEN})))
    async with serve(app) as url:
        process = await asyncio.create_subprocess_exec(
            Path(sys.executable).with_name("schemathesis"),
            "run",
            f"{url}/openapi.json",
            "--header",
            f"Authorization: {TOKEN}",
            "--no-color",
            "--continue-on-failure",
            "--seed=1",
            *arguments,
            cwd=directory,  # it leaves a cache behind
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )
        output, _ = await process.communicate()
    return subprocess.CompletedProcess(arguments, process.returncode or 0, output.decode())


async def test_one_form_of_selector_and_the_activities_keep_to_the_document(tmp_path):
    found = await schemathesis(tmp_path, *ONE_SELECTOR, "--phases=coverage")
    assert found.returncode == 0, found.stdout


async def test_the_control_keeps_to_the_document(tmp_path):
    found = await schemathesis(tmp_path, *CONTROL, "--phases=coverage")
    assert found.returncode == 0, found.stdout


@pytest.mark.storm
@pytest.mark.timeout(600)
async def test_every_vendor_path_keeps_to_the_document(tmp_path):
    found = await schemathesis(tmp_path, *VENDOR, "--max-examples=50")
    assert found.returncode == 0, found.stdout


async def test_every_call_to_a_user_point_is_in_the_document(api):
    paths = (await api.client.get("/openapi.json")).json()["paths"]
    for selector in SELECTORS:
        documented = {
            tuple(part.partition("=")[0] for part in path.split("/")[6:]): {
                method.upper() for method in item if method != "parameters"
            }
            for path, item in paths.items()
            if path.startswith(f"/v1/datamarts/{{datamartId}}/user_points/{selector}/")
        }
        assert documented == {names: set(methods) for names, methods in HANDLERS.items()}
