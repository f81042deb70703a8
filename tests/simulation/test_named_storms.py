"""Storms that have a name: one file each in `storms/`, with a story and what is expected.

`pytest -s` prints the figures of each run.
"""

from pathlib import Path

import pytest

from tests.support.simulation.storm import NamedStorm
from tests.support.simulation.world import World

STORMS = [
    NamedStorm.load(path) for path in sorted((Path(__file__).parent / "storms").glob("*.yaml"))
]


def check(named):
    figures = {}
    for name, (storm, expected) in named.runs.items():
        figures[name] = found = World(storm).run().verdict()
        print(f"\n{named.name} / {name}")  # noqa: T201 - the figures are asked for with -s
        print("\n".join(f"  {figure}: {value}" for figure, value in found.items()))  # noqa: T201
        missed = [str(item) for item in expected if not item.met(found)]
        assert not missed, f"{named.name} / {name} expected {missed}, found {found}"
    for compared in named.compare:
        low, high = compared.ratio
        ratio = figures[compared.of][compared.figure] / figures[compared.to][compared.figure]
        assert low <= ratio <= high, f"{compared.figure}: {ratio}"


def storms(*, slow):
    return pytest.mark.parametrize(
        "named", [storm for storm in STORMS if slow or not storm.slow], ids=lambda storm: storm.name
    )


@storms(slow=False)
def test_a_named_storm_goes_as_its_file_says(named):
    check(named)


@pytest.mark.storm
@storms(slow=True)
def test_every_named_storm_goes_as_its_file_says(named):
    check(named)


def test_every_storm_tells_its_story():
    assert len(STORMS) >= 20
    assert all(len(storm.about) > 60 for storm in STORMS)
