"""Fixtures for all tests."""

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


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: Sequence[pytest.Item]) -> None:
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
