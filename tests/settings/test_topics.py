"""`sources` and `mappings` of the settings: what is wrong is one line with its place."""

from pathlib import Path

import pytest

from relay.errors import SettingsError
from relay.settings import load
from relay.settings.topics import sources_of

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
        ("sources: [{topics: [a], format: avro, mapping: shop}]" + RULES, "not available"),
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
    assert len(sources_of(settings.sources, settings.mappings, settings.decoding)) == 3
