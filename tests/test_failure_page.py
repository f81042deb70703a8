"""docs/FAILURE.md names tests that exist, and lists the guards that `scripts.guards` tries."""

import re
from pathlib import Path

import pytest

from scripts.guards import GUARDS

ROOT = Path(__file__).resolve().parent.parent
PAGE = (ROOT / "docs" / "FAILURE.md").read_text(encoding="utf-8")
DEFINED = {
    name
    for path in (ROOT / "tests").rglob("test_*.py")
    for name in re.findall(r"^\s*(?:async )?def (test_\w+)", path.read_text("utf-8"), re.MULTILINE)
}


def test_every_row_names_a_test_that_exists():
    named = set(re.findall(r"`(test_\w+)`", PAGE))
    assert named
    assert named <= DEFINED, sorted(named - DEFINED)


def test_every_row_of_a_table_is_shown_by_something():
    for line in PAGE.splitlines():
        if line.startswith("| ") and "shown by" not in line and "goes red" not in line:
            assert re.search(r"`test_\w+`|`tests/[\w/]+\.py`", line.split("|")[-2]), line


@pytest.mark.parametrize("path", sorted(set(re.findall(r"`(tests/[\w/]+\.py)`", PAGE))))
def test_every_file_that_is_named_exists(path):
    assert (ROOT / path).exists()


@pytest.mark.parametrize("guard", GUARDS, ids=lambda guard: guard.guard)
def test_every_guard_stands_where_it_is_said_to_and_is_listed(guard):
    assert guard.stands in (ROOT / guard.file).read_text(encoding="utf-8")
    assert guard.guard in PAGE
