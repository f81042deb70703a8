"""A start does not import what no line of ours needs."""

import subprocess
import sys

_LOOK = """
import sys
import relay.app.run
assert "structlog" in sys.modules
assert "rich" not in sys.modules, "rich was imported"
import rich.console
"""


def test_a_start_imports_no_rich_and_whoever_wants_it_has_it():
    done = subprocess.run(
        [sys.executable, "-c", _LOOK], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
