"""`relay tap` on a running relay."""

import json
import subprocess
import sys
import threading

import pytest

from tests.support.embedded import whole_relay
from tests.support.road import bare_environ

pytestmark = pytest.mark.slow

TOKEN = "a token of the admin page"


@pytest.fixture(scope="module")
def whole():
    with whole_relay(users=5, ADMIN__TOKEN=TOKEN) as whole:
        over = threading.Event()

        def feed():
            while not over.wait(0.05):
                whole.feeder.send(10, bad=0.1)

        feeding = threading.Thread(target=feed, daemon=True)
        feeding.start()
        yield whole
        over.set()
        feeding.join(60)


def relay_tap(whole, *arguments):
    command = [sys.executable, "-m", "relay", "tap", "--url", whole.admin, *arguments]
    return subprocess.run(
        command, env=bare_environ(), capture_output=True, text=True, timeout=60, check=False
    )


def samples(whole, *arguments):
    done = relay_tap(whole, "--json", "--rate", "100", *arguments)
    assert (done.returncode, done.stderr) == (0, "")
    return [json.loads(line) for line in done.stdout.splitlines()]


def test_a_sample_of_what_flows_has_shapes_and_no_values(whole):
    found = samples(whole, "--limit", "5", "--code", "http_200")
    assert {sample["became"] for sample in found} == {"delivered"}
    assert all("user-0" not in json.dumps(sample) for sample in found)
    assert all(json.loads(sample["content"])["$user_identifiers"] for sample in found)


def test_what_died_is_shown_with_its_reason(whole):
    done = relay_tap(whole, "--code", "invalid_json", "--limit", "1")
    assert done.returncode == 0
    assert "dead-lettered (invalid_json)" in done.stdout


def test_one_account_is_followed_by_its_hash_and_content_needs_the_token(whole, tmp_path):
    arguments = ("--account", "user-00000", "--show-personal-data", "--limit", "3")
    refused = relay_tap(whole, *arguments)
    assert refused.returncode == 7
    assert "needs the token" in refused.stderr
    token = tmp_path / "token"
    token.write_text(TOKEN)
    found = samples(whole, *arguments, "--token-file", str(token))
    for sample in found:
        (identifier,) = json.loads(sample["content"])["$user_identifiers"]
        assert identifier["$user_account_id"] == "user-00000"
    assert "user-00000" not in whole.relay.text()
