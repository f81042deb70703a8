"""The schemas of the settings file and of a mapping: an editor never refuses what Relay takes."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from jsonschema import Draft202012Validator

from relay.settings import Settings, load
from relay.settings.options import Option, options
from relay.sources.presets import preset, preset_names
from scripts.generate import ROOT
from scripts.settings_docs import example

SETTINGS = json.loads((ROOT / "schemas/relay.v1.json").read_text(encoding="utf-8"))
MAPPING = json.loads((ROOT / "schemas/mapping.v1.json").read_text(encoding="utf-8"))
OF_SETTINGS, OF_MAPPINGS = Draft202012Validator(SETTINGS), Draft202012Validator(MAPPING)
MANUAL = ("docs/MAPPING.md", "docs/MAPPING_MORE.md")
BLOCKS = [
    yaml.safe_load(block)
    for block in re.findall(
        r"^```yaml\n(.+?)^```",
        "".join((ROOT / page).read_text(encoding="utf-8") for page in MANUAL),
        re.MULTILINE | re.DOTALL,
    )
]


def wrong(validator: Draft202012Validator, document: Any) -> list[str]:
    return [
        f"{error.json_path}: {error.message[:100]}" for error in validator.iter_errors(document)
    ]


def nested(path: tuple[str, ...], value: Any) -> dict[str, Any]:
    for key in reversed(path):
        value = {key: value}
    return dict(value)


def test_both_are_valid_schemas():
    Draft202012Validator.check_schema(SETTINGS)
    Draft202012Validator.check_schema(MAPPING)


def test_the_example_file_names_its_schema_and_is_valid():
    text = (ROOT / "relay.example.yaml").read_text(encoding="utf-8")
    named = re.search(r"yaml-language-server: \$schema=(\S+)", text)
    assert named is not None
    assert (ROOT / named[1]).exists()
    assert wrong(OF_SETTINGS, yaml.safe_load(text)) == []


@pytest.mark.parametrize("option", list(options(Settings)), ids=lambda option: option.name)
def test_every_setting_is_known_with_its_example_and_another_beside_it_is_not(option: Option):
    value = example(option)
    assert value is None or wrong(OF_SETTINGS, nested(option.path, value)) == []
    misspelt = (*option.path[:-1], option.path[-1] + "x")
    if option.path[0] != "mappings":
        assert wrong(OF_SETTINGS, nested(misspelt, value))


@pytest.mark.parametrize("name", preset_names())
def test_presets_are_valid_mappings(name):
    assert wrong(OF_MAPPINGS, preset(name).data) == []


def test_the_examples_of_the_manual_are_valid():
    assert [wrong(OF_MAPPINGS, block) for block in BLOCKS if "rules" in block] == [[], []]
    assert [wrong(OF_SETTINGS, block) for block in BLOCKS if "sources" in block] == [[]]


def test_a_settings_file_with_sources_and_mappings_is_valid_and_loads(tmp_path: Path):
    document = {
        "tracking": {"datamart_id": 1234, "api_token_file": "/run/secrets/token"},
        "kafka": None,
        "sources": [
            {"topics": ["a"], "mapping": "m", "shadow": {"preset": "segment"}, "ids_from": "a"}
        ],
        "mappings": {"m": {"rules": [{"skip": "noise", "when": "has(.x)"}]}},
    }
    assert wrong(OF_SETTINGS, document) == []
    path = tmp_path / "relay.yaml"
    path.write_text(json.dumps(document), encoding="utf-8")
    load(path, {}, needs=["sources", "mappings"])


@pytest.mark.parametrize(
    "rules",
    [
        [],
        [{"when": "has(.x)"}],
        [{"track": "a", "skip": "b"}],
        [{"track": "a", "idd": ".x"}],
        [{"skip": "a", "id": ".x"}],
        [{"segment": "add", "event": ".x"}],
        {"track": "a"},
    ],
)
def test_a_rule_that_is_none_is_told(rules):
    assert wrong(OF_MAPPINGS, {"rules": rules})
    assert wrong(OF_SETTINGS, {"mappings": {"m": {"rules": rules}}})


def test_an_unknown_key_in_a_test_or_its_expectation_is_told():
    good = {"record": {}, "expect": {"skipped": "a"}}
    assert wrong(OF_MAPPINGS, {"rules": [{"skip": "a"}], "tests": [good]}) == []
    for bad in ({**good, "recrod": 1}, {**good, "expect": {"skiped": "a"}}, {"record": {}}):
        assert wrong(OF_MAPPINGS, {"rules": [{"skip": "a"}], "tests": [bad]})
