"""docs/DEPLOY.md: its commands name what exists, and its printed output is of these very checks."""

import ast
import re

import pytest
import yaml

from scripts.generate import ROOT
from tests.support.commands import parsed

PAGE = (ROOT / "docs/DEPLOY.md").read_text(encoding="utf-8")
DOCKERFILE = (ROOT / "deploy/Dockerfile").read_text(encoding="utf-8")
SHELL = "\n".join(re.findall(r"```sh\n(.*?)```", PAGE, re.DOTALL)).replace("\\\n", " ")
IMAGE_SAID, CHART_SAID = re.findall(r"```text\n(.*?)```", PAGE, re.DOTALL)


def test_files_and_targets_that_are_named_exist():
    assert {*re.findall(r"-f (\S*Dockerfile)", SHELL)} == {"deploy/Dockerfile"}
    for name in re.findall(r"(?:scripts|deploy|requirements|\.github)/[\w./-]+[\w/]", PAGE):
        assert (ROOT / name).exists(), name
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    targets = re.findall(r"`make ([\w-]+)", PAGE)
    assert {"image-check", "chart-check"} <= set(targets)
    for target in targets:
        assert re.search(rf"^{target}:", makefile, re.MULTILINE), target


def test_build_arguments_secrets_and_paths_are_those_of_the_dockerfile():
    arguments = set(re.findall(r"^ARG (\w+)", DOCKERFILE, re.MULTILINE))
    assert set(re.findall(r"^\| `(\w+)=", PAGE, re.MULTILINE)) == arguments
    assert set(re.findall(r"--build-arg (\w+)=", SHELL)) <= arguments
    assert set(re.findall(r"id=(\w+),src", PAGE)) == set(re.findall(r"secret,id=(\w+)", DOCKERFILE))
    (folder,) = re.findall(r"relay\.yaml:(\S+)/relay\.yaml:ro", SHELL)
    assert f"WORKDIR {folder}" in DOCKERFILE
    (listed,) = re.findall(r"cat relay (\S+)", SHELL)
    assert f"--output-file {listed}" in DOCKERFILE


def test_relay_s_commands_are_commands():
    assert [parsed(line.split()) for line in re.findall(r"`relay (check[^`]*)`", PAGE)] == ["check"]


def patterns_of_image_check() -> list[str]:
    """What `ok` is called with in scripts/image_check.py, as expressions."""
    tree = ast.parse((ROOT / "scripts/image_check.py").read_text(encoding="utf-8"))
    found = []
    for call in ast.walk(tree):
        if not (isinstance(call, ast.Call) and getattr(call.func, "id", "") == "ok"):
            continue
        text = call.args[1]
        parts = text.values if isinstance(text, ast.JoinedStr) else [text]
        literal = [re.escape(p.value) if isinstance(p, ast.Constant) else ".+" for p in parts]
        found.append("".join(literal))
    return found


@pytest.mark.parametrize("line", re.findall(r"^ok    (.+)$", IMAGE_SAID, re.MULTILINE))
def test_a_printed_line_is_one_that_image_check_says(line):
    assert any(re.fullmatch(pattern, line) for pattern in patterns_of_image_check())


def test_the_packages_are_as_many_as_are_pinned():
    pinned = re.findall(
        r"^[\w-]+==[^;\n]+$",
        (ROOT / "requirements/production.txt").read_text(encoding="utf-8").replace(" \\", ""),
        re.MULTILINE,
    )
    linux = [pin for pin in pinned if not pin.startswith("colorama")]
    uvloop = 1  # its marker leaves out Windows
    (said,) = re.findall(r"^ok    (\d+) packages", IMAGE_SAID, re.MULTILINE)
    assert len(linux) + uvloop == int(said)


def test_the_chart_was_checked_in_all_value_sets_and_kinds():
    lines = re.findall(r"^ok    (\S+), ([\d.]+): (.+)$", CHART_SAID, re.MULTILINE)
    sets = {path.name for path in (ROOT / "deploy/helm/relay/ci").glob("*-values.yaml")}
    source = (ROOT / "scripts/chart_check.py").read_text(encoding="utf-8")
    (versions,) = re.findall(r"^KUBERNETES = (\(.+\))$", source, re.MULTILINE)
    wanted = {(name, version) for name in sets for version in ast.literal_eval(versions)}
    assert {(name, version) for name, version, _ in lines} == wanted
    kinds = {kind for *_, said in lines for kind in said.split(", ")}
    templates = (ROOT / "deploy/helm/relay/templates").glob("*.yaml")
    made = {
        k
        for path in templates
        for k in re.findall(r"^kind: (\w+)$", path.read_text(), re.MULTILINE)
    }
    assert made <= kinds


def test_the_versions_of_the_crds_are_those_of_the_check():
    source = (ROOT / "scripts/chart_check.py").read_text(encoding="utf-8")
    operator, keda = re.findall(r"operator (\d[\d.]+), KEDA (\d[\d.]+)\)", PAGE)[0]
    assert f'OPERATOR_VERSION = "v{operator}"' in source
    assert f"keda/v2@v{keda}" in source


def test_the_values_that_are_explained_are_values():
    values = yaml.safe_load((ROOT / "deploy/helm/relay/values.yaml").read_text(encoding="utf-8"))
    table = PAGE.partition("| value | when |")[2].partition("\n\n")[0]
    named = {
        name
        for row in re.findall(r"^\| (.+?) \|", table, re.MULTILINE)
        for name in re.findall(r"`(\w+)`", row)
    }
    assert named
    assert named <= set(values)
