"""Workflows and issue forms: what they call exists, and they test what is promised."""

import re
import subprocess
import sys
import tomllib
from pathlib import Path

import jsonschema
import pytest
import yaml

from scripts.generate import ROOT
from tests.support.commands import parsed

GITHUB = ROOT / ".github"
WORKFLOWS = sorted((GITHUB / "workflows").glob("*.yml"))
MAKEFILE = (ROOT / "Makefile").read_text(encoding="utf-8")
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]


def jobs(path):
    return yaml.safe_load(path.read_text(encoding="utf-8"))["jobs"]


def scripts(path):
    """The shell of every step."""
    return [step["run"] for job in jobs(path).values() for step in job["steps"] if "run" in step]


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)
def test_what_a_workflow_calls_exists(path):
    for script in scripts(path):
        for target in re.findall(r"^make ([\w-]+)", script, re.MULTILINE):
            assert re.search(rf"^{target}:", MAKEFILE, re.MULTILINE), target
        for name in re.findall(r"(?:requirements|deploy|\.ci)/[\w./-]+", script):
            assert (ROOT / name).exists(), name
        assert subprocess.run(["bash", "-n"], input=script, text=True, check=False).returncode == 0


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)
def test_a_workflow_has_few_rights_and_an_end(path):
    assert yaml.safe_load(path.read_text(encoding="utf-8"))["permissions"] == {"contents": "read"}
    for job in jobs(path).values():
        assert job["timeout-minutes"] <= 90
        for step in job["steps"]:
            if step.get("uses", "").startswith("actions/checkout@"):
                assert step["with"]["persist-credentials"] is False


def test_every_python_that_the_package_names_is_tested():
    tested = jobs(GITHUB / "workflows/checks.yml")["tests"]["strategy"]["matrix"]["python"]
    assert PROJECT["requires-python"] == f">={tested[0]}"
    named = [c.rpartition(" :: ")[2] for c in PROJECT["classifiers"] if c.count("Python :: 3.")]
    assert named == tested


def test_the_release_finds_the_base_of_the_dockerfile():
    (script,) = [s for s in scripts(GITHUB / "workflows/release.yml") if "imagetools" in s]
    (command,) = re.findall(r'tag="\$\((.+)\)"', script)
    run = subprocess.run(
        ["bash", "-c", command], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert run.stdout == "python:3.11-slim-bookworm\n"


def test_the_release_is_refused_when_the_tag_is_not_the_version():
    (script,) = [
        s
        for s in scripts(GITHUB / "workflows/release.yml")
        if "GITHUB_REF_NAME" in s and "tomllib" in s
    ]
    for tag, status in ((f"v{PROJECT['version']}", 0), ("v9.9.9", 1)):
        command = f"PATH={Path(sys.executable).parent}:$PATH; GITHUB_REF_NAME={tag}; {script}"
        run = subprocess.run(["bash", "-c", command], cwd=ROOT, check=False)
        assert run.returncode == status, tag


@pytest.mark.parametrize(
    "path", sorted((GITHUB / "ISSUE_TEMPLATE").glob("[bi]*.yml")), ids=lambda path: path.name
)
def test_an_issue_form_asks_for_what_relay_can_say(path):
    text = path.read_text(encoding="utf-8")
    form = yaml.safe_load(text)
    assert {"name", "description", "body"} <= set(form)
    for command in re.findall(r"`relay (\w+)`", text):
        assert parsed([command]) == command
    for field in form["body"]:
        assert field["type"] == "markdown" or field["attributes"]["label"]


def test_the_least_values_of_the_page_are_enough():
    text = (ROOT / "docs/DEPLOY.md").read_text(encoding="utf-8")
    (block,) = re.findall(r"```yaml\n(.*?)```", text, re.DOTALL)
    chart = ROOT / "deploy/helm/relay"
    values = yaml.safe_load((chart / "values.yaml").read_text(encoding="utf-8"))
    schema = yaml.safe_load((chart / "values.schema.json").read_text(encoding="utf-8"))
    given = yaml.safe_load(block)
    for name in given:
        if isinstance(values[name], dict):
            given[name] = values[name] | given[name]
    jsonschema.validate(values | given, schema)
    assert given["settings"]["tracking"]["datamart_id"]
    assert given["settings"]["kafka"]["bootstrap_servers"]
