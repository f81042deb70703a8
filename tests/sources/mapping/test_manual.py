"""docs/MAPPING.md and its further pages: what they show is what happens."""

import json
import re
from pathlib import Path

import pytest

from relay.model import Undecodable
from relay.sources.mapping.transforms import TRANSFORMS
from tests.support.mappings import RECORD, mapping, of_expression

PAGES = ("MAPPING.md", "TRANSFORMS.md", "MAPPING_MORE.md")
MANUAL = "".join(
    (Path(__file__).parents[3] / "docs" / page).read_text(encoding="utf-8") for page in PAGES
)
ROWS = [
    (expression.replace("\\|", "|"), document, gives.strip("`"))
    for expression, document, gives in re.findall(
        r"^\| `(.+?)` \| `(\{.+?\})` \| (.+?) \|$", MANUAL, re.MULTILINE
    )
]
BLOCKS = re.findall(r"^```yaml\n(.+?)^```", MANUAL, re.MULTILINE | re.DOTALL)
MAPPINGS = [block for block in BLOCKS if "rules:" in block]


@pytest.mark.parametrize(("expression", "document", "gives"), ROWS, ids=[row[0] for row in ROWS])
def test_an_expression_gives_what_the_manual_says(expression, document, gives):
    (part,) = of_expression(expression)(json.loads(document), RECORD)
    if isinstance(part, Undecodable):
        assert part.code == gives
    elif gives == "absent":
        assert "properties" not in part.document
    else:
        value = part.document["properties"]["value"]
        assert (value, type(value)) == (json.loads(gives), type(json.loads(gives)))


def test_the_manual_shows_every_transform():
    shown = {name for expression, _, _ in ROWS for name in re.findall(r"\| (\w+)", expression)}
    assert shown == set(TRANSFORMS)


@pytest.mark.parametrize("text", MAPPINGS)
def test_a_mapping_of_the_manual_compiles(text):
    assert mapping(text).tests
