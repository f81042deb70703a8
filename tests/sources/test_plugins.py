"""Mappings in Python: whatever the function does, the record has a fate."""

import pytest

from relay.errors import SettingsError
from relay.model import Undecodable, Unwanted
from relay.sources.plugins import load_plugin, plugin_mapping
from tests.support.mappings import RECORD

MODULE = """
def events(record):
    for name in record.document["names"]:
        yield {"type": "track", "event": name, "topic": record.topic}

def broken(record):
    yield {"type": "track"}
    raise ValueError(record.document["secret"])

def endless(record):
    while True:
        yield {}

def odd(record):
    return ["text"]

value = 3
"""


@pytest.fixture
def plugin(tmp_path, monkeypatch):
    (tmp_path / "shop_events.py").write_text(MODULE)
    (tmp_path / "shop_broken.py").write_text("1 / 0")
    monkeypatch.syspath_prepend(tmp_path)

    def run(name, document):
        reference = f"python:shop_events:{name}"
        return plugin_mapping(load_plugin(reference), reference)(document, RECORD)

    return run


def test_what_the_function_gives_is_what_the_record_becomes(plugin):
    parts = plugin("events", {"names": ["a", "b"]})
    assert [part.document["event"] for part in parts] == ["a", "b"]
    assert parts[0].document["topic"] == "shop"


def test_no_events_is_a_skip(plugin):
    assert plugin("events", {"names": []}) == (
        Unwanted("no_events", "the function gave no events"),
    )


def test_an_exception_is_one_dead_letter_with_type_and_line_and_without_its_message(plugin):
    (part,) = plugin("broken", {"secret": "jane@example.com"})
    assert part == Undecodable(
        "mapping_raised", "python:shop_events:broken: raised ValueError at line 8"
    )


def test_events_without_end_are_cut_and_refused(plugin):
    (part,) = plugin("endless", {})
    assert part.code == "too_many_events"


def test_what_is_no_dict_is_a_dead_letter(plugin):
    (part,) = plugin("odd", {})
    assert part.reason == "python:shop_events:odd: an event must be a dict, and is text"


@pytest.mark.parametrize(
    ("reference", "told"),
    [
        ("python:shop_events", "is not python:module:function"),
        ("python:no_such_module:f", "the module cannot be imported (ModuleNotFoundError)"),
        ("python:shop_broken:f", "the module cannot be imported (ZeroDivisionError)"),
        ("python:shop_events:value", "the module has no function value"),
    ],
)
def test_a_reference_that_leads_nowhere_is_a_settings_error(plugin, reference, told):
    with pytest.raises(SettingsError) as caught:
        load_plugin(reference)
    assert told in str(caught.value)
