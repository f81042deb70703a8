"""The list of facts: what every one of them owes to whoever reads the logs."""

import ast
import re
from pathlib import Path

import pytest

import relay
from relay.road.facts import Lifecycle, LifecycleChanged
from relay.telemetry.facts import Fact
from scripts.every_fact import every_fact

PACKAGE = Path(relay.__file__).parent


def test_a_fact_is_called_by_its_class_in_snake_case():
    assert LifecycleChanged.name() == "lifecycle_changed"


def test_the_list_of_facts_is_complete_and_without_the_base():
    assert Fact not in every_fact()
    assert {f.name() for f in every_fact()} == {f.name() for f in Fact.__subclasses__()}


def test_facts_are_declared_in_files_of_facts_alone_where_the_pages_find_them():
    """Each stands beside what says it, so that a road that is off brings none."""
    declaring = {
        file.relative_to(PACKAGE).as_posix()
        for file in PACKAGE.rglob("*.py")
        if re.search(r"^class \w+\(Fact\):", file.read_text(), re.MULTILINE)
    }
    assert all(name.endswith("facts.py") for name in declaring), declaring
    modules = {f"{PACKAGE.name}.{name[:-3].replace('/', '.')}" for name in declaring}
    assert modules == {fact.__module__ for fact in every_fact()}


@pytest.mark.parametrize("fact", every_fact(), ids=lambda fact: fact.name())
def test_every_fact_says_in_words_what_it_and_its_fields_mean(fact):
    assert fact.__doc__
    assert re.match(r"\w.*[.!]", fact.__doc__)
    for name, text in fact.described():
        assert name.isidentifier()
        assert text.endswith(".")


@pytest.mark.parametrize("fact", every_fact(), ids=lambda fact: fact.name())
def test_labels_of_a_counter_are_fields_of_its_fact(fact):
    if fact.counter is not None:
        fields = {*fact.__dataclass_fields__}
        assert {*fact.counter.labels} <= fields
        assert fact.counter.name.endswith("_total")
        assert "reason" not in fact.counter.labels, "free text must not become a label"


def test_a_fact_is_frozen():
    fact = LifecycleChanged(road="stream", old=Lifecycle.STARTING, new=Lifecycle.RUNNING)
    with pytest.raises(AttributeError):
        fact.new = Lifecycle.STOPPED


def imported(file: Path) -> set[str]:
    names: set[str] = set()
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Import):
            names.update(alias.name.partition(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            names.add((node.module or "").partition(".")[0])
    return names


def test_only_the_log_knows_structlog_and_nobody_else_logs():
    loggers = {
        str(file.relative_to(PACKAGE))
        for file in PACKAGE.rglob("*.py")
        if imported(file) & {"structlog", "logging"}
    }
    assert loggers == {"telemetry/log.py", "telemetry/structlog_alone.py"}
