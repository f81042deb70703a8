"""docs/EVENTS.md and docs/TRACKING_API.md: what they name is there, and what is there is named."""

import ast
import re
from pathlib import Path

import pytest

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


@pytest.mark.parametrize("code", [*UndecodableCode, *MappingCode])
def test_every_code_of_an_event_is_explained(code):
    text = (ROOT / "docs" / "EVENTS.md").read_text(encoding="utf-8")
    assert f"\n| `{code}` | " in text


def test_no_code_is_explained_that_does_not_exist():
    text = (ROOT / "docs" / "EVENTS.md").read_text(encoding="utf-8")
    tables = text.partition("## What is decided about an event")[2]
    explained = set(re.findall(r"^\| `(\w+)` \|", tables, re.MULTILINE))
    assert explained == {*UndecodableCode, *MappingCode}
