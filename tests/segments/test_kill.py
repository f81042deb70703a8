"""Real processes, really killed: what `bench.segments_sync` proves at full size, in small."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def bench(*arguments):
    return subprocess.run(
        [sys.executable, "-m", "bench.segments_sync", *arguments],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.storm
@pytest.mark.timeout(900)
def test_a_sync_that_is_killed_at_random_moments_ends_as_if_it_had_not_been():
    done = bench("--users", "20000", "--kills", "20")
    assert done.returncode == 0, done.stdout
    assert done.stdout.count("status -9") == 20


@pytest.mark.storm
@pytest.mark.timeout(300)
def test_a_sync_stays_small_and_a_later_one_sends_only_what_changed():
    done = bench("--users", "50000")
    assert done.returncode == 0, done.stdout
