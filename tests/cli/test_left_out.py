"""`relay sandbox` and `relay demo` are a package of their own, and not in production."""

import shutil
import subprocess
import sys
import sysconfig
import tomllib
import zipfile

import pytest

import relay as package
from relay.errors import ExitStatus
from scripts.generate import ROOT

BUILT_OF = ("pyproject.toml", "README.md", "LICENSE", "relay", "deploy/demo")


@pytest.fixture(scope="module")
def wheels(tmp_path_factory):
    """The folders of Relay and of its demo, each as its wheel has it."""
    source = tmp_path_factory.mktemp("source")
    for name in BUILT_OF:
        (source / name).parent.mkdir(exist_ok=True)
        if (ROOT / name).is_dir():
            ignored = shutil.ignore_patterns("__pycache__", "build", "*.egg-info")
            shutil.copytree(ROOT / name, source / name, ignore=ignored)
        else:
            shutil.copy(ROOT / name, source / name)
    options = ["--no-deps", "--no-build-isolation", "--no-index", "--wheel-dir", "dist"]
    made = subprocess.run(
        [sys.executable, "-m", "pip", "wheel", *options, ".", "./deploy/demo"],
        cwd=source,
        capture_output=True,
        text=True,
        check=False,
    )
    assert made.returncode == 0, made.stdout + made.stderr
    return sorted((source / "dist").glob("*.whl"), key=lambda wheel: "demo" in wheel.name)


@pytest.fixture(scope="module")
def production(wheels, tmp_path_factory):
    return unpacked(wheels[:1], tmp_path_factory.mktemp("production"))


@pytest.fixture(scope="module")
def with_demo(wheels, tmp_path_factory):
    return unpacked(wheels, tmp_path_factory.mktemp("with_demo"))


def unpacked(wheels, folder):
    for wheel in wheels:
        with zipfile.ZipFile(wheel) as archive:
            archive.extractall(folder)
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


def modules(folder):
    return {path.relative_to(folder) for path in folder.glob("relay/**/*.py")}


def test_the_two_wheels_hold_all_of_relay_each_file_once(production, with_demo):
    extra = modules(with_demo) - modules(production)
    assert {path.parts[1] for path in extra} == {"sandbox", "demo"}
    assert modules(with_demo) == modules(ROOT)
    assert not (production / "relay/sandbox").exists()
    assert not (production / "relay/demo").exists()


@pytest.mark.parametrize("command", ["sandbox", "demo"])
def test_they_say_so_and_how_to_get_them(production, command):
    run = relay(production, command)
    assert run.returncode == ExitStatus.SETTINGS
    assert "not part of this installation" in run.stderr
    assert "pip install . ./deploy/demo" in run.stderr
    assert "WITH_DEMO=1" in run.stderr
    assert len(run.stderr.splitlines()) == 1


def test_everything_else_is_there(production):
    assert relay(production, "--help").returncode == 0
    run = relay(production, "check")
    assert "Traceback" not in run.stderr + run.stdout
    assert "datamart_id" in run.stderr + run.stdout


def test_the_package_of_the_demo_brings_them(with_demo):
    code = "from relay.cli import demo; demo._needs_the_demo()\nimport relay.sandbox.standalone"
    run = subprocess.run(
        [sys.executable, "-S", "-c", code],
        cwd=with_demo,
        env={"PYTHONPATH": f"{with_demo}:{sysconfig.get_path('purelib')}"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (run.returncode, run.stderr) == (0, "")


def test_both_are_of_one_version():
    relays, demos = (
        tomllib.loads((ROOT / folder / "pyproject.toml").read_text(encoding="utf-8"))["project"]
        for folder in ("", "deploy/demo")
    )
    assert demos["version"] == relays["version"] == package.__version__
    assert demos["dependencies"] == [f"{relays['name']}[demo]=={relays['version']}"]
