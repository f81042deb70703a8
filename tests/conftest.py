"""Fixtures for all tests."""

pytest_plugins = ["tests.support.kafka_fixtures", "tests.support.segment_world"]
