"""The objects of Relay's own classes that one event makes on its way, by class.

    python -m bench.objects [--base 8f3be7b]

An event of a user is read, decoded, mapped, sent and delivered, with no Kafka and no HTTP. Counted
are calls of constructors, as a profiler sees them, and what pydantic makes of the record, which no
profiler sees. The record comes from the Kafka edge, and the answer from the wire: one of each.
"""

import argparse
import subprocess
import sys
import tempfile
from collections import Counter
from pathlib import Path
from typing import Any

from bench.machine import BenchError

_EVENTS = 500
_SELDOM = 0.1
_OF_EDGES = ("Record", "Answer")
_OF_THE_BENCH = "Event"
_CALLED = {"tp": "Partition"}
"""What is made without its constructor, by the function that makes it."""


def made(events: int = _EVENTS) -> Counter[str]:
    """How many objects of each class so many events make, in the tree that is imported."""
    from bench.regress import drive  # noqa: PLC0415 - of the tree that this process runs in

    found: Counter[str] = Counter()

    def look(frame: Any, event: str, function: Any) -> None:
        if event == "c_call" and function is tuple.__new__:
            module = frame.f_globals["__name__"]
            of_its_own = module.startswith("namedtuple_")
            found[module.removeprefix("namedtuple_") if of_its_own else frame.f_code.co_name] += 1
        elif event == "call" and frame.f_code.co_name == "__init__":
            kind = type(next(iter(frame.f_locals.values())))
            if kind.__module__.startswith("relay."):
                found[kind.__name__] += 1

    drive(1)  # what is imported, and made once, is in none of them
    sys.setprofile(look)
    try:
        drive(events)
    finally:
        sys.setprofile(None)
    return found + _decoded(events)


def _decoded(events: int) -> Counter[str]:
    from pydantic import BaseModel  # noqa: PLC0415

    from bench.workload import Workload  # noqa: PLC0415
    from relay.stream.decoding import DecodingPolicy, decode  # noqa: PLC0415

    found: Counter[str] = Counter()

    def walk(value: Any) -> None:
        if isinstance(value, BaseModel):
            found[type(value).__name__] += 1
            for name in type(value).model_fields:
                walk(getattr(value, name))
        elif isinstance(value, tuple | list):
            for inner in value:
                walk(inner)

    for event in Workload(events, events).make():
        walk(decode(event.value, DecodingPolicy()))
    return found


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(prog="bench.objects", description=__doc__.splitlines()[0])
    parser.add_argument("--base", help="a commit, in place of the working tree")
    given = parser.parse_args()
    if given.base is None:
        _tell()
        return
    from bench.regress import checkout  # noqa: PLC0415 - an earlier commit may lack it

    with tempfile.TemporaryDirectory() as home:
        tree = checkout(given.base, Path(home) / "tree")
        here = Path(__file__)
        (tree / "bench" / here.name).write_text(here.read_text(encoding="utf-8"), encoding="utf-8")
        script = (
            "import sys; sys.path.insert(0, sys.argv[1]); sys.meta_path = [found for found in "
            "sys.meta_path if 'editable' not in repr(found).lower()]; "
            "from bench.objects import _tell; _tell()"
        )
        subprocess.run([sys.executable, "-c", script, str(tree)], cwd=tree, check=True)


def _tell() -> None:
    of_each = {name: count / _EVENTS for name, count in made().items()}
    of_each |= dict.fromkeys(_OF_EDGES, 1.0)
    of_each.pop(_OF_THE_BENCH, None)
    several = {_CALLED.get(name, name): n for name, n in of_each.items() if n >= _SELDOM}
    for name, count in sorted(several.items(), key=lambda one: -one[1]):
        print(f"{count:6.2f}  {name}")
    print(f"{sum(several.values()):6.2f}  in all")


if __name__ == "__main__":
    try:
        main()
    except BenchError as error:
        sys.exit(f"bench.objects: {error}")
