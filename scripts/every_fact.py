"""Every fact that Relay has, whichever roads are on: for the pages and for what is told of all."""

from importlib import import_module
from pathlib import Path

from relay.telemetry.facts import Fact, all_facts

ROOT = Path(__file__).parents[1]


def every_fact() -> list[type[Fact]]:
    """The facts of all files whose name ends in `facts.py`, by the file's name."""
    for file in sorted(ROOT.glob("relay/**/*facts.py")):
        import_module(".".join(file.relative_to(ROOT).with_suffix("").parts))
    return all_facts()
