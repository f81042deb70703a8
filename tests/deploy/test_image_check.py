"""`make image-check`, as far as it can be tried without building an image."""

import re

import pytest

from scripts import image_check
from scripts.container_engines import Docker, NoEngine, build_options, engine
from scripts.generate import ROOT


def test_without_a_builder_it_says_what_to_install(monkeypatch, capsys, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(NoEngine, match="apt-get install"), engine():
        pass
    monkeypatch.setattr("sys.argv", ["image-check"])
    assert image_check.main() == 2
    assert re.search("docker,? podman", capsys.readouterr().err)


@pytest.mark.parametrize("name", ["docker", "podman"])
def test_what_runs_in_a_container_finds_a_read_only_root_and_no_rights(name):
    command = Docker(name).command(["relay", "run"], {"A": "b"}, tmpfs=False)
    assert command[:2] == [name, "run"]
    assert {"--read-only", "--cap-drop"} <= set(command)
    assert "--tmpfs" not in command
    # podman mounts a /tmp of its own on a read-only root unless told otherwise.
    assert ("--read-only-tmpfs=false" in command) is (name == "podman")
    with_tmpfs = Docker(name).command(["relay", "run"], {"A": "b"}, tmpfs=True)
    assert with_tmpfs[with_tmpfs.index("--tmpfs") + 1] == "/tmp"
    assert command[-4:] == ["--entrypoint", "relay", "localhost/relay:check", "run"]
    assert command[command.index("--env") + 1] == "A=b"


def test_a_failed_build_is_no_traceback(monkeypatch, capsys, tmp_path):
    """An engine that is there and cannot build: here one that knows `info` only."""
    docker = tmp_path / "docker"
    docker.write_text("#!/bin/sh\n[ \"$1\" = info ] || { echo 'no space left' >&2; exit 1; }\n")
    docker.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    monkeypatch.setattr("sys.argv", ["image-check"])
    assert image_check.main() == 1
    assert "does not build" in capsys.readouterr().err


def test_how_pip_reaches_packages_is_given_as_secrets_that_the_dockerfile_takes(
    monkeypatch, tmp_path
):
    monkeypatch.setenv("PIP_CERT", str(tmp_path / "ca.pem"))
    with build_options("base:1", demo=True) as options:
        assert options[:4] == ["--build-arg", "BASE=base:1", "--build-arg", "WITH_DEMO=1"]
        given = set(re.findall(r"id=(\w+),", " ".join(options)))
    text = (ROOT / "deploy/Dockerfile").read_text(encoding="utf-8")
    assert given == set(re.findall(r"type=secret,id=(\w+)", text)) == {"pip", "ca"}
    monkeypatch.delenv("PIP_CERT")
    with build_options(None, demo=False) as options:
        assert options == []
