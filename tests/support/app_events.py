"""App events for tests: the examples of `schemas/`, and the same with something changed."""

import json
from collections.abc import Iterator
from copy import deepcopy
from pathlib import Path
from typing import Any

from hypothesis import strategies as st

ROOT = Path(__file__).parents[2]
EXAMPLES = sorted((ROOT / "schemas" / "examples").glob("*.json"))
# Those that become activities under settings that say nothing.
ACTIVITIES = [p.stem for p in EXAMPLES if p.stem != "segment" and not p.stem.endswith("-put")]
VENDOR_SAMPLES = sorted((ROOT / "tests" / "golden" / "vendor").glob("*.json"))

JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    # A JSON Schema takes 1.0 for an integer, and no parser tells it from 1.
    | st.floats(allow_nan=False, allow_infinity=False).filter(lambda number: number % 1 != 0)
    | st.text(max_size=8)
    | st.sampled_from(["2026-01-31T09:30:00Z", "vec:1", "a@b", "$ts", "1", 1769851800123, ["x"]]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=2),
    max_leaves=4,
)


def example(name: str) -> dict[str, Any]:
    """An example by its file's name."""
    document: dict[str, Any] = json.loads(
        (ROOT / "schemas" / "examples" / f"{name}.json").read_text(encoding="utf-8")
    )
    return document


@st.composite
def changed_examples(draw: st.DrawFn) -> dict[str, Any]:
    """An example in which one or two things were replaced, taken away or added."""
    document = example(draw(st.sampled_from(EXAMPLES)).stem)
    for _ in range(draw(st.integers(1, 2), label="changes")):
        _change(document, draw)
    return document


def _change(document: dict[str, Any], draw: st.DrawFn) -> None:
    here = list(_places(document))
    *way, last = draw(st.sampled_from(here), label="place")
    parent: Any = document
    for step in way:
        parent = parent[step]
    change = draw(st.sampled_from(["replace", "remove", "add"]), label="change")
    if change == "remove":
        parent.pop(last)
        return
    if change == "add" and isinstance(parent, dict):
        known = sorted({step for place in here for step in place if isinstance(step, str)})
        last = draw(st.sampled_from(known) | st.text(max_size=5), label="key")
    parent[last] = deepcopy(draw(JSON, label="value"))


def _places(value: Any, path: tuple[str | int, ...] = ()) -> Iterator[tuple[str | int, ...]]:
    """Every place in a document where something stands."""
    if path:
        yield path
    if isinstance(value, dict | list):
        children = value.items() if isinstance(value, dict) else enumerate(value)
        for key, inner in children:
            yield from _places(inner, (*path, key))
