"""The presets, by their tests in `NAME….map-test.yaml` here, which reach each of their rules."""

import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest

from relay.sources.mapping import CompiledMapping, compile_mapping, judge_mapping
from relay.sources.presets import preset, preset_names
from relay.sources.tools.lint import lint
from relay.sources.tools.testing import run_test
from relay.yaml_text import Located, read_yaml
from tests.support.mappings import RECORD
from tests.support.preset_mutants import mutants

RULE_LEFT_OUT = re.compile(r"(events|no_user|(all|rules\[\d+\])(\.\w+)?) left out$").match
FILES = sorted(Path(__file__).parent.glob("*.map-test.yaml"))


def read(path: Path) -> tuple[dict[str, Any], list[Any]]:
    located = read_yaml(path.read_text(encoding="utf-8"), path.name)
    assert located.problems == []
    given = located.data
    return (given["settings"], given["tests"]) if isinstance(given, dict) else ({}, given)


def name_of(path: Path) -> str:
    return path.name.partition(".")[0]


CASES = [
    (path, number, test) for path in FILES for number, test in enumerate(read(path)[1], start=1)
]


@pytest.mark.parametrize(
    ("path", "number", "test"), CASES, ids=[f"{name_of(p)}: {t['name']}" for p, _, t in CASES]
)
def test_a_preset_does_what_its_tests_say(path, number, test):
    compiled = compile_mapping(preset(name_of(path)), read(path)[0])
    assert run_test(compiled, test, number).wrong == ()


@pytest.mark.parametrize("name", preset_names())
def test_each_rule_of_a_preset_is_reached_by_a_test(name):
    reached: set[str] = set()
    rules: list[str] = []
    for path in (path for path in FILES if name_of(path) == name):
        settings, tests = read(path)
        compiled = compile_mapping(preset(name), settings)
        rules = [str(rule.loc) for rule in compiled.rules]
        for test in tests:
            reached |= rules_of(compiled, test["record"])
    assert rules
    assert [rule for rule in rules if rule not in reached] == []


def rules_of(compiled: CompiledMapping, document: Any) -> set[str]:
    found = (compiled.rule_for(*element) for element in compiled.elements(document, RECORD))
    return {str(rule.loc) for rule in found if rule is not None}


@pytest.mark.parametrize("name", preset_names())
def test_lint_has_nothing_to_say_about_a_preset_but_that_its_tests_are_here(name):
    located = preset(name)
    found = lint(compile_mapping(located), located.data)
    assert [problem.text for problem in found] == [
        "has no tests: relay map test has nothing to run"
    ]


@pytest.mark.parametrize("name", preset_names())
def test_a_preset_works_without_any_settings(name):
    assert compile_mapping(preset(name)).rules


@pytest.mark.parametrize("name", preset_names())
@pytest.mark.storm
@pytest.mark.timeout(300)
def test_of_each_mistake_in_a_preset_its_tests_notice(name):
    """Whatever can be left out, and every path, transform, word and text that can be wrong."""
    unnoticed, count = survivors(name, mutants(preset(name).data))
    assert unnoticed == []
    assert count > 20


@pytest.mark.parametrize("name", preset_names())
def test_whatever_is_taken_out_of_a_preset_its_tests_notice(name):
    coarse = (one for one in mutants(preset(name).data) if RULE_LEFT_OUT(one[0]))
    unnoticed, count = survivors(name, coarse)
    assert unnoticed == []
    assert count


def survivors(name: str, given: Iterable[tuple[str, dict[str, Any]]]) -> tuple[list[str], int]:
    """The mistakes that no test of the preset fails of, and how many were made."""
    suites = [read(path) for path in FILES if name_of(path) == name]
    found = [
        (what, any(fails(mutant, settings, tests) for settings, tests in suites))
        for what, mutant in given
    ]
    return [what for what, noticed in found if not noticed], len(found)


def fails(mutant: dict[str, Any], settings: dict[str, Any], tests: list[Any]) -> bool:
    compiled, problems = judge_mapping(Located(mutant), settings)
    if compiled is None or problems:
        return True
    return any(run_test(compiled, test, 1).wrong for test in tests)


def test_the_page_of_presets_names_each_preset_and_each_of_its_settings():
    page = (Path(__file__).parents[3] / "docs" / "PRESETS.md").read_text(encoding="utf-8")
    for name in preset_names():
        for word in (name, *preset(name).data.get("settings", {})):
            assert f"`{word}`" in page
