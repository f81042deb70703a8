"""docs/FAILURE.md lists the guards that `scripts.guards` tries. Its rows: tests/test_rows.py."""

from pathlib import Path

import pytest

from scripts.guards import GUARDS

ROOT = Path(__file__).resolve().parent.parent
PAGE = (ROOT / "docs" / "FAILURE.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("guard", GUARDS, ids=lambda guard: guard.guard)
def test_every_guard_stands_where_it_is_said_to_and_is_listed(guard):
    assert guard.stands in (ROOT / guard.file).read_text(encoding="utf-8")
    assert guard.guard in PAGE
