"""docs/EVENTS.md and docs/TRACKING_API.md: what they name is there, and what is there is named."""

import ast
import re
from pathlib import Path

import pytest

from relay.membership.policy import MembershipCode
from relay.stream.decoding.reasons import UndecodableCode
from relay.stream.mapping.policy import MappingCode

ROOT = Path(__file__).parents[1]
NAMED_TEST = re.compile(r"`(tests/[\w/]+\.py)::(\w+)")


def named_tests(page: str) -> list[tuple[str, str]]:
    return NAMED_TEST.findall((ROOT / page).read_text(encoding="utf-8"))


def test_every_test_that_the_tracking_api_page_names_exists():
    named = named_tests("docs/TRACKING_API.md")
    assert named
    for path, name in named:
        tree = ast.parse((ROOT / path).read_text(encoding="utf-8"))
        found = {node.name for node in ast.walk(tree) if hasattr(node, "name")}
        assert name in found, f"{path} has no {name}"


def test_no_row_of_the_tracking_api_page_is_open():
    text = (ROOT / "docs" / "TRACKING_API.md").read_text(encoding="utf-8")
    rows = [line for line in text.splitlines() if line.startswith("| ")]
    heads = [row for row in rows if row.endswith("| test |")]
    assert len(heads) >= 4
    assert [row for row in rows if row not in heads and not NAMED_TEST.search(row)] == []


# Every endpoint, field and parameter that the vendor's page names.
ON_THE_PAGE = """
POST PUT GET user_activities datamartId Content-Type $ts $type $session_status
$user_identifiers $user_account_id $compartment_id $user_agent_id $hash $email $email_hash
$app_id $site_id $events $event_name $properties $set_user_profile_properties $set_user_choice
$processing_id $choice_acceptance_value USER_ACCOUNT USER_AGENT USER_EMAIL
userPointSelector user_point_id= user_agent_id= compartment_id= user_account_id= email_hash=
user_profiles compartmentId userAccount update_strategy PARTIAL_UPDATE PARTIAL_DELETE
FORCE_REPLACE force_replace merge_objects user_choices processing_id=:processingId
$choice_ts change_log
"""


@pytest.mark.parametrize("name", ON_THE_PAGE.split())
def test_whatever_the_vendors_page_names_has_a_row(name):
    text = (ROOT / "docs" / "TRACKING_API.md").read_text(encoding="utf-8")
    assert any(name in line for line in text.splitlines() if line.startswith("| ")), name


@pytest.mark.parametrize("code", [*UndecodableCode, *MappingCode])
def test_every_code_of_an_event_is_explained(code):
    text = (ROOT / "docs" / "EVENTS.md").read_text(encoding="utf-8")
    assert f"\n| `{code}` | " in text


def test_no_code_is_explained_that_does_not_exist():
    text = (ROOT / "docs" / "EVENTS.md").read_text(encoding="utf-8")
    tables = text.partition("## What is decided about an event")[2]
    explained = set(re.findall(r"^\| `(\w+)` \|", tables, re.MULTILINE))
    assert explained == {*UndecodableCode, *MappingCode, *MembershipCode}
