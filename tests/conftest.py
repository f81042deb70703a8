"""Fixtures for all tests."""

from collections import Counter
from collections.abc import Sequence

import hypothesis
import pytest

pytest_plugins = ["tests.support.kafka_fixtures", "tests.support.segment_world"]

# Shared machines are slow at times; a law does not depend on how fast its examples are drawn.
hypothesis.settings.register_profile(
    "relay",
    deadline=None,
    print_blob=True,
    suppress_health_check=[hypothesis.HealthCheck.too_slow],
)
hypothesis.settings.load_profile("relay")

# What several tests share and one process has: their order in it is as before.
_SHARED = ("kafka_cluster", "secured_kafka", "schema_registry")


def pytest_addoption(parser: pytest.Parser) -> None:
    """The storms have a long form."""
    parser.addoption("--long", action="store_true", help="all cases of storms, not the first few")


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Choose the cases of storms, and say which tests must run in the same process."""
    if not config.getoption("--long"):
        _leave_out_long_forms(config, items)
    _group_what_is_shared(items)


def _leave_out_long_forms(config: pytest.Config, items: list[pytest.Item]) -> None:
    """`storm(cases=N)`: of the cases of this test the first N are enough to begin with."""
    seen: Counter[str] = Counter()
    left_out = set()
    for item in items:
        storm = item.get_closest_marker("storm")
        if storm is not None and "cases" in storm.kwargs:
            test = item.nodeid.partition("[")[0]
            seen[test] += 1
            if seen[test] > storm.kwargs["cases"]:
                left_out.add(item)
    if left_out:
        config.hook.pytest_deselected(items=list(left_out))
        items[:] = [item for item in items if item not in left_out]


def _group_what_is_shared(items: Sequence[pytest.Item]) -> None:
    """Say which tests must run in the same process (`make test` has several of them).

    Clusters of our own are heavy, and tests stop them; fixtures of a module are made once for all
    of its tests. A plain `kafka` is light: each process that needs one has one.
    """
    for item in items:
        group = _group(item)
        if group is not None:
            item.add_marker(pytest.mark.xdist_group(group))


def _group(item: pytest.Item) -> str | None:
    info = getattr(item, "_fixtureinfo", None)
    if info is None:
        return None
    for name in _SHARED:
        if name in info.names_closure:
            return name
    definitions = [
        found for name in info.names_closure for found in info.name2fixturedefs.get(name, ())
    ]
    of_module = any(found.scope == "module" for found in definitions)
    return item.nodeid.partition("::")[0] if of_module else None
