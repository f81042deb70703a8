"""`sources` and `mappings` of the settings: what is wrong is one line with its place."""

from pathlib import Path

import pytest

from relay.errors import SettingsError
from relay.settings import load
from relay.settings.topics import sources_of
from relay.sources.formats.schemas import SchemaCache

RULES = """
mappings:
  shop:
    rules:
      - track: seen
        id: .no
        ts: .at
        user: {accounts: [{id: .who, compartment: crm}]}
"""


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("sources: [{topics: [a], preset: segmnt}]", "relay.yaml:1: sources[0]: preset: there are"),
        ("sources: [{topics: [a]}]", "give one of preset and mapping"),
        ("sources: [{topics: [a], mapping: shp}]" + RULES, "did you mean shop?"),
        ("sources: [{topics: [a], mapping: shop, topic: b}]" + RULES, "unknown setting"),
        (
            "sources:\n  - topics: [a]\n    preset: segment\n    settings: {compartmnt: x}",
            "relay.yaml:4: sources[0].settings.compartmnt: is no setting of this mapping",
        ),
        (RULES.replace(".no", ".no |"), "relay.yaml:6: "),
    ],
)
def test_a_mistake_is_told_with_its_place(tmp_path, monkeypatch, text, said):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "relay.yaml").write_text(text, encoding="utf-8")
    with pytest.raises(SettingsError) as caught:
        load(None, {}, needs=["sources", "mappings"])
    assert said in caught.value.problem


def test_the_settings_of_the_read_me_are_valid(tmp_path):
    page = (Path(__file__).parents[2] / "README.md").read_text(encoding="utf-8")
    text = page.partition("## Your topic")[2].partition("```yaml\n")[2].partition("```")[0]
    (tmp_path / "relay.yaml").write_text(text, encoding="utf-8")
    settings = load(tmp_path / "relay.yaml", {}, needs=["sources", "mappings", "decoding"])
    schemas = SchemaCache()
    assert len(sources_of(settings.sources, settings.mappings, settings.decoding, schemas)) == 3


COMPLETE = {
    "RELAY_KAFKA__BOOTSTRAP_SERVERS": "localhost:9092",
    "RELAY_KAFKA__TOPICS": "a",
    "RELAY_TRACKING__BASE_URL": "https://api.example.com",
    "RELAY_TRACKING__API_TOKEN": "t",
    "RELAY_TRACKING__DATAMART_ID": "1",
}


@pytest.mark.parametrize("name", ["avro", "protobuf", "schema_registry"])
def test_a_format_that_needs_a_registry_says_so_where_none_is_set(tmp_path, monkeypatch, name):
    monkeypatch.chdir(tmp_path)
    text = f"sources: [{{topics: [a], format: {name}, mapping: shop}}]" + RULES
    (tmp_path / "relay.yaml").write_text(text, encoding="utf-8")
    with pytest.raises(SettingsError) as caught:
        load(None, COMPLETE)
    assert f"sources[0].format: {name} needs a schema registry" in caught.value.problem
    load(None, COMPLETE | {"RELAY_SCHEMA_REGISTRY__URLS": "http://localhost:8081"})


@pytest.mark.parametrize(
    ("reference", "said"),
    [
        ("python:nowhere_at_all:events", "cannot be imported (ModuleNotFoundError)"),
        ("python:json:event", "the module has no function event"),
        ("python:json", "is not python:module:function"),
    ],
)
def test_a_function_that_is_not_there_is_one_line_with_its_name(tmp_path, reference, said):
    text = f'sources: [{{topics: [a], mapping: "{reference}"}}]'
    (tmp_path / "relay.yaml").write_text(text, encoding="utf-8")
    settings = load(tmp_path / "relay.yaml", {}, needs=["sources", "mappings", "decoding"])
    with pytest.raises(SettingsError) as caught:
        sources_of(settings.sources, settings.mappings, settings.decoding)
    assert caught.value.problem.startswith(f"mapping {reference}: ")
    assert said in caught.value.problem
    assert "\n" not in caught.value.problem


def test_a_function_takes_no_settings(tmp_path):
    text = 'sources: [{topics: [a], mapping: "python:json:loads", settings: {a: b}}]'
    (tmp_path / "relay.yaml").write_text(text, encoding="utf-8")
    with pytest.raises(SettingsError) as caught:
        load(tmp_path / "relay.yaml", {}, needs=["sources"])
    assert "a function of your own takes none" in caught.value.problem
