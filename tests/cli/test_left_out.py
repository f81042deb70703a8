"""`relay sandbox` and `relay demo` where the image has left both out."""

import shutil
import subprocess
import sys
import sysconfig

import pytest

from relay.errors import ExitStatus
from scripts.generate import ROOT


@pytest.fixture(scope="module")
def production(tmp_path_factory):
    """Relay as the image has it: without those two packages."""
    folder = tmp_path_factory.mktemp("production")
    left_out = shutil.ignore_patterns("sandbox", "demo", "__pycache__")
    shutil.copytree(ROOT / "relay", folder / "relay", ignore=left_out)
    assert not (folder / "relay/sandbox").exists()
    return folder


def relay(folder, *arguments):
    """Run it. `-S`: an editable installation would find in the checkout what is missing here."""
    path = f"{folder}:{sysconfig.get_path('purelib')}"
    return subprocess.run(
        [sys.executable, "-S", "-m", "relay", *arguments],
        cwd=folder,
        env={"PYTHONPATH": path, "PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


@pytest.mark.parametrize("command", ["sandbox", "demo"])
def test_they_say_so_and_how_to_get_them(production, command):
    run = relay(production, command)
    assert run.returncode == ExitStatus.SETTINGS
    assert "not part of this installation" in run.stderr
    assert "WITH_DEMO=1" in run.stderr
    assert "Traceback" not in run.stderr


def test_everything_else_is_there(production):
    assert relay(production, "--help").returncode == 0
    run = relay(production, "check")
    assert "Traceback" not in run.stderr + run.stdout
    assert "datamart_id" in run.stderr + run.stdout
