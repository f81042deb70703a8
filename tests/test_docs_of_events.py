"""docs/EVENTS.md and docs/EVENT_CODES.md: what it names is there, and what is there is named."""

import re
from pathlib import Path

import pytest

from relay.membership.policy import MembershipCode
from relay.stream.decoding.reasons import UndecodableCode
from relay.stream.mapping.codes import MappingCode
from relay.stream.mapping.rules import ANY_NAMES, NAMES_BY_TYPE, VISIT_NAMES

ROOT = Path(__file__).parents[1]


@pytest.mark.parametrize("code", [*UndecodableCode, *MappingCode])
def test_every_code_of_an_event_is_explained(code):
    text = (ROOT / "docs" / "EVENT_CODES.md").read_text(encoding="utf-8")
    assert f"\n| `{code}` | " in text


def test_no_code_is_explained_that_does_not_exist():
    text = (ROOT / "docs" / "EVENT_CODES.md").read_text(encoding="utf-8")
    explained = set(re.findall(r"^\| `(\w+)` \|", text, re.MULTILINE))
    assert explained == {*UndecodableCode, *MappingCode, *MembershipCode}


def test_the_page_names_the_platforms_names_by_type_as_lint_knows_them():
    page = (ROOT / "docs" / "EVENTS.md").read_text(encoding="utf-8")
    row = next(line for line in page.splitlines() if "predefined event names" in line)
    shown = set(re.findall(r"`(\$\w+)`", row))
    assert shown == set(VISIT_NAMES.union(ANY_NAMES, *NAMES_BY_TYPE.values()))
