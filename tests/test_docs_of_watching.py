"""What the pages about watching, dead letters and sending again show still looks like that.

The commands are run on a real Kafka (`tests.support.shown`); numbers, names and times may differ.
"""

import re
from pathlib import Path

import pytest

from tests.support.pages import blocks, commands
from tests.support.shown import Shown

DOCS = Path(__file__).parent.parent / "docs"
PAGES = ("WATCHING.md", "DEAD_LETTERS.md", "SENDING_AGAIN.md")
SHOWN = {
    command: said
    for page in PAGES
    for command, said in re.findall(
        r"^```\n\$ (relay .+?)\n(.*?)^```$",
        (DOCS / page).read_text(encoding="utf-8"),
        re.MULTILINE | re.DOTALL,
    )
}
"""Command → what a page shows below it."""
POSITION = re.compile(r"\b[a-z][a-z.-]*-\d+-\d+\b")

pytestmark = [
    pytest.mark.timeout(300),  # a dozen commands are run before the first test
    pytest.mark.slow,
]


@pytest.fixture(scope="module")
def outputs(kafka, tmp_path_factory):
    shown = Shown(kafka, kafka.create_topic(partitions=4), tmp_path_factory.mktemp("shown"))
    shown.run()
    return {without_positions(command): said for command, said in shown.outputs.items()}


def without_positions(text):
    return POSITION.sub("POSITION", text)


def kinds(said):
    """The kinds of lines in what was said, of which there may be more or fewer in another run.

    A line without a value (the head of a table) is a kind of its own; of others it is how they
    begin: their first two words. The title of `relay top` is not shown: it looks like a command.
    """
    lines = [line for line in said.splitlines() if line.strip() and not line.startswith("relay ")]
    shapes = {line_shape(line) for line in lines}
    return {one if "…" not in one else " ".join(one.split()[:2]) for one in shapes}


def line_shape(line):
    """Without values: those of keys, positions, times and numbers."""
    line = re.sub(r'"(\$?\w+)":\s*("[^"]*"|[\d.]+|\w+)', r'"\1":…', line)
    line = POSITION.sub("…", line)
    line = re.sub(r"\d{4}-\d\d-\d\d(T[\d:.]+Z?)?|\d\d:\d\d:\d\d", "…", line)
    line = re.sub(r"(?<![a-z])[\d,]*\d(\.\d+)?", "…", line)
    return re.sub(r"\s+", " ", line).strip()


@pytest.mark.broker
@pytest.mark.parametrize("command", SHOWN)
def test_a_page_shows_what_the_command_says(outputs, command):
    assert kinds(outputs[without_positions(command)]) == kinds(SHOWN[command])


@pytest.mark.parametrize("page", PAGES)
def test_no_command_of_a_page_is_left_out(page):
    shown = [c for block in blocks(DOCS / page) for c in commands(block.text)]
    assert {c for c in shown if c.startswith("relay ")} <= set(SHOWN)


def test_the_pages_show_each_command():
    for part in (
        "relay top", "relay tap --code", "relay dlq summary", "relay dlq list", "relay dlq show",
        "relay dlq replay", "relay send events.ndjson", "relay run --from",
    ):  # fmt: skip
        assert any(command.startswith(part) for command in SHOWN), part
