"""Pages and example files that are made from the code say what the code says."""

from pathlib import Path

import pytest

from relay.errors import SettingsError
from relay.settings import Settings, load
from relay.settings.options import options
from scripts import generate, settings_docs

EXAMPLE = generate.ROOT / "relay.example.yaml"


def variables(text: str) -> dict[str, str]:
    """What a shell or a container engine would read from an env file."""
    lines = [line for line in text.splitlines() if line and not line.startswith("#")]
    return dict(line.split("=", maxsplit=1) for line in lines)


def said(variable: str, text: str) -> list[str]:
    """What loading the example file with one variable more complains about."""
    try:
        load(EXAMPLE, {variable: text})
    except SettingsError as error:
        return str(error).splitlines()
    return []


@pytest.mark.parametrize("name", generate.FILES)
def test_generated_files_are_up_to_date(name):
    text = (generate.ROOT / name).read_text(encoding="utf-8")
    assert text == generate.FILES[name](), "run: make docs"


def test_the_example_file_loads_as_it_stands():
    settings = load(EXAMPLE, {})
    assert set(Settings.model_fields) <= settings.model_fields_set


def test_the_example_environment_loads_as_it_stands(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    load(None, variables((generate.ROOT / ".env.example").read_text(encoding="utf-8")))


def test_both_examples_say_the_same(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    from_file = load(EXAMPLE, {})
    assert load(None, variables((generate.ROOT / ".env.example").read_text())) == from_file


@pytest.mark.parametrize("option", list(options(Settings)), ids=lambda option: option.name)
def test_every_value_of_the_examples_is_one_that_the_setting_takes(option, tmp_path):
    """Other settings may then be missing or contradict it; the value itself is never the fault."""
    commented = (
        (generate.ROOT / ".env.example").read_text(encoding="utf-8").replace("# RELAY", "RELAY")
    )
    text = variables(commented)[option.variable]
    secret = tmp_path / "secret"
    secret.write_text("http://secret.example")
    if text.startswith(str(settings_docs.SECRETS)):
        text = str(secret)
    assert not [line for line in said(option.variable, text) if line.startswith(option.variable)]


@pytest.mark.parametrize("option", list(options(Settings)), ids=lambda option: option.name)
def test_every_setting_is_described(option):
    if option.field is not None:
        assert option.field.description
        assert option.field.description.endswith(".")


def test_lines_of_the_example_file_fit_a_terminal():
    assert max(map(len, Path(EXAMPLE).read_text(encoding="utf-8").splitlines())) <= 120
