"""Every command that a page shows is run as it stands, or is here with the reason why not.

A page's own test runs what it shows in blocks: `RUN` says which test that is, and each of them
takes all blocks of its page. Within the text a command is looked at without running it.
"""

import argparse
import importlib
import importlib.util
import re
import shlex
import subprocess
import tomllib

import pytest
import yaml

from tests.support.commands import parsed
from tests.support.pages import ROOT, blocks, commands, indented, inline

FOLDERS = ("", "docs", "docs/adr", "requirements", "bench")
PAGES = sorted(page for folder in FOLDERS for page in (ROOT / folder).glob("*.md"))
RUN = {
    "README.md": (("relay", "curl", "echo"), "test_commands_of_pages.py"),
    "EVENTS.md": (("relay",), "test_commands_of_pages.py"),
    "SANDBOX.md": (("relay", "curl"), "test_commands_of_pages.py"),
    "SEGMENTS.md": (("relay",), "test_commands_of_pages.py"),
    "PAGE.md": (("curl",), "test_commands_of_pages.py"),
    "RUNBOOK.md": (("curl",), "test_commands_of_pages.py"),
    "MAP_TOOLS.md": (("relay",), "test_docs_of_map_tools.py"),
    "MAP_LINT.md": (("relay",), "test_docs_of_map_tools.py"),
    "WATCHING.md": (("relay",), "test_docs_of_watching.py"),
    "DEAD_LETTERS.md": (("relay",), "test_docs_of_watching.py"),
    "SENDING_AGAIN.md": (("relay", "echo"), "test_docs_of_watching.py"),
    "LOG_QUERIES.md": (("jq",), "telemetry/test_log_queries.py"),
}
"""Page → the programs of its blocks that are run, and the test that runs them."""
NOT_RUN = {
    "docker": "needs a container engine; `make image-check` is the image's test",
    "helm": "`helm install` needs a cluster; tests/deploy/test_chart.py renders the chart",
    "kubectl": "needs a cluster",
    "kafka-topics.sh": "comes with Kafka, not with Relay",
    "kafka-console-producer.sh": "comes with Kafka, not with Relay",
    "kafka-transactions.sh": "comes with Kafka, not with Relay",
    "export": "sets the reader's terminal; the tests call this checkout's relay",
    "make": "installs or takes minutes; held to the Makefile below, and CI runs check and test",
    "python3": "makes an environment of its own",
    "relay/bin/pip": "installs into that environment",
    "cosign": "verifies a release, and there is none yet",
    "gh": "verifies a release, and there is none yet",
    ".venv/bin/python": "measures for minutes; its arguments are parsed below",
}
"""Program → why no test runs it."""
EVERYWHERE = [
    pytest.param(command, id=f"{page.name}: {command}"[:90])
    for page in PAGES
    for command in dict.fromkeys(
        [*indented(page), *inline(page), *(c for b in blocks(page) for c in commands(b.text))]
    )
]


class Parsed(Exception):
    """The arguments were taken, and nothing else was done."""


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_a_command_of_a_block_is_run_or_says_why_not(page):
    programs, where = RUN.get(page.name, ((), ""))
    shown = [*indented(page), *(c for block in blocks(page) for c in commands(block.text))]
    shown += [one for one in inline(page) if one.startswith(("curl ", "jq "))]
    missing = [one for one in shown if one.split()[0] not in (*programs, *NOT_RUN)]
    assert missing == []
    if programs:
        assert page.name in (ROOT / "tests" / where).read_text(encoding="utf-8")


def test_no_reason_is_without_a_command():
    named = {command.values[0].split()[0] for command in EVERYWHERE}
    assert set(NOT_RUN) <= named


@pytest.mark.parametrize("command", EVERYWHERE)
def test_what_a_command_names_is_there(command, monkeypatch):
    match shlex.split(re.sub(r"…|\.\.\.", "x", command)):
        case ["relay", *_] if not re.search(r"…|\S\||COMMAND", command):  # several at once
            parsed(shlex.split(re.split(r" [|<>&]", command)[0])[1:])
        case ["make", *arguments] | [_, "make", *arguments]:
            make(arguments)
            for options in re.findall(r"BENCH=(\S*)", " ".join(arguments)):
                taken("bench", options.split(), monkeypatch)
        case [program, "-m", module, *arguments] if program.endswith(("python", "python3")):
            if module != "venv":
                assert program == ".venv/bin/python", f"the only one that is sure to be: {command}"
                taken(module, arguments, monkeypatch)
        case ["pip", "install", what] if what.startswith(".["):
            extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
            assert set(what[2:-1].split(",")) <= set(extras["optional-dependencies"])
        case ["docker", "compose", ("run" | "logs"), _, service]:
            services = yaml.safe_load((ROOT / "docker-compose.yml").read_text())["services"]
            assert service in services
        case ["docker", "build", "-f", file, *_]:
            assert (ROOT / file).exists()
        case ["helm", "install", _, chart, *_]:
            assert (ROOT / chart / "Chart.yaml").exists()


def make(arguments: list[str]) -> None:
    """What make would do; it fails at a target that is none."""
    done = subprocess.run(
        ["make", "-n", *arguments], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    text = (ROOT / "Makefile").read_text(encoding="utf-8")
    for variable in re.findall(r"^([A-Z_]+)=", "\n".join(arguments), re.MULTILINE):
        assert re.search(rf"\$[({{]+(?:if \$\()?{variable}\b", text), f"make reads no {variable}"


def taken(module: str, arguments: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """The module is there, and its command line takes the arguments; it is not run."""
    assert importlib.util.find_spec(module), module
    if not module.startswith("bench"):
        assert not arguments, f"{module} takes none"
        return

    def parse_args(parser: argparse.ArgumentParser, *_: object) -> argparse.Namespace:
        found, rest = parser.parse_known_args(arguments)
        assert rest == [], f"{module} does not take {rest}"
        raise Parsed(found)

    monkeypatch.setattr(argparse.ArgumentParser, "parse_args", parse_args)
    name = f"{module}.__main__" if module == "bench" else module
    with pytest.raises(Parsed):
        importlib.import_module(name).main()
