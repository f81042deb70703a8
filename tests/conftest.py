"""Fixtures for all tests."""

import hypothesis

pytest_plugins = ["tests.support.kafka_fixtures", "tests.support.segment_world"]

# Shared machines are slow at times; a law does not depend on how fast its examples are drawn.
hypothesis.settings.register_profile(
    "relay",
    deadline=None,
    print_blob=True,
    suppress_health_check=[hypothesis.HealthCheck.too_slow],
)
hypothesis.settings.load_profile("relay")
