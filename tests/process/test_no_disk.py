"""A read-only root without /tmp: said at the start where files are needed, and no matter elsewhere.

Here no file may be larger than 0 bytes, which `tempfile` finds out as it does on a read-only root.
"""

import json
import subprocess

import pytest

from relay.errors import ExitStatus
from tests.support.road import bare_environ
from tests.support.run_alone import RELAY, Alone

NO_DISK = ("/bin/sh", "-c", 'ulimit -f 0; exec "$@"', "sh")
MEMBERSHIP = {
    "SEGMENTS__MEMBERSHIP__ENABLED": "true",
    "SEGMENTS__MEMBERSHIP__GROUP_ID": "segments",
}


@pytest.mark.parametrize("options", [(), ("--workers", "2")])
def test_without_a_place_for_files_membership_does_not_start_and_says_why(options):
    relay = Alone(*options, wrap=NO_DISK, stderr=subprocess.PIPE, **MEMBERSHIP)
    with relay:
        _, said = relay.process.communicate(timeout=60)
    assert relay.process.returncode == ExitStatus.LOCAL_STATE
    (line,) = said.decode().splitlines()
    assert "segments.membership: no directory for temporary files" in line
    assert "TMPDIR" in line


def test_without_a_place_for_files_the_stream_runs():
    with Alone(wrap=NO_DISK) as relay:
        relay.until_it_answers()
        assert relay.end() == 0


def test_the_check_says_so_before():
    settings = {
        "RELAY_KAFKA__BOOTSTRAP_SERVERS": "127.0.0.1:1",
        "RELAY_KAFKA__START_TIMEOUT_S": "0",
        "RELAY_TRACKING__BASE_URL": "http://127.0.0.1:1",
        "RELAY_TRACKING__DATAMART_ID": "1",
        "RELAY_TRACKING__API_TOKEN": "token",
        **{f"RELAY_{name}": value for name, value in MEMBERSHIP.items()},
    }
    done = subprocess.run(
        [*NO_DISK, *RELAY, "check", "--json"],
        env={**bare_environ(), **settings},
        capture_output=True,
        timeout=60,
        check=False,
    )
    found = {finding["subject"]: finding for finding in json.loads(done.stdout)["findings"]}
    assert found["disk"]["level"] == "fail"
    assert "TMPDIR" in found["disk"]["hint"]
