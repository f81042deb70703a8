"""`relay sandbox` as a process."""

import json
import signal
import socket
import subprocess
import sys

import httpx
import pytest


def start(*arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "relay", "sandbox", *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_it_cleanly(number):
    with start("--port", "0", "--json", "--token", "secret") as process:
        url = json.loads(process.stdout.readline())["url"]
        path = f"{url}/v1/datamarts/1/user_activities"
        assert httpx.post(path, headers={"Authorization": "other"}).status_code == 401
        assert httpx.post(path, headers={"Authorization": "secret"}).status_code == 400
        process.send_signal(number)
        out, err = process.communicate(timeout=20)
    assert (process.returncode, out, err) == (0, "", "")


def test_it_says_where_it_listens_and_starts_with_the_given_faults(tmp_path):
    plan = tmp_path / "faults.json"
    plan.write_text('{"rules": [{"kind": "status", "status": 503}]}')
    with start("--port", "0", "--faults", str(plan), "--repeats", "ignore") as process:
        url = process.stdout.readline().split()[2].rstrip(",")
        assert httpx.post(f"{url}/v1/datamarts/1/user_activities").status_code == 503
        process.terminate()
        process.communicate(timeout=20)


def ended(*arguments: str) -> tuple[int, str]:
    with start(*arguments) as process:
        _, err = process.communicate(timeout=20)
    return process.returncode, err


def test_a_taken_port_is_one_line_and_an_exit_status():
    with socket.create_server(("127.0.0.1", 0)) as taken:
        status, err = ended("--port", str(taken.getsockname()[1]))
    assert status == 8
    assert "the address is taken" in err
    assert len(err.splitlines()) == 1


@pytest.mark.parametrize("content", [None, "{", '{"rules": [{"kind": "boom"}]}'])
def test_a_fault_plan_that_cannot_be_used_is_one_line(tmp_path, content):
    plan = tmp_path / "faults.json"
    if content is not None:
        plan.write_text(content)
    status, err = ended("--port", "0", "--faults", str(plan))
    assert status == 8
    assert "faults.json" in err
    assert len(err.splitlines()) == 1


def test_an_unknown_policy_is_a_usage_error():
    status, err = ended("--repeats", "merge")
    assert status == 2
    assert "add, ignore, overwrite" in err
