"""What `relay check` says of sources."""

import json

import pytest

from relay.checks.finding import Level
from relay.checks.sources import check_sources
from relay.settings import load


def findings(tmp_path, sources, **kafka):
    given = {"kafka": {"bootstrap_servers": "localhost:1", **kafka}, "sources": sources}
    (tmp_path / "relay.yaml").write_text(json.dumps(given))
    return list(check_sources(load(tmp_path / "relay.yaml", {}, needs=["kafka", "sources"])))


def test_each_source_is_a_line(tmp_path):
    (found,) = findings(tmp_path, [{"topics": ["web.*"], "preset": "segment"}], topics=["web.a"])
    assert (found.level, found.text) == (Level.OK, "web.*: json, preset segment")


@pytest.mark.parametrize(
    "sources",
    [
        [{"topics": ["wep.*"], "preset": "segment"}],
        # Another one fits first.
        [{"topics": ["*"], "preset": "jitsu"}, {"topics": ["web.*"], "preset": "segment"}],
    ],
)
def test_a_source_of_no_topic_that_is_read_is_a_warning(tmp_path, sources):
    *_, found = findings(tmp_path, sources, topics=["web.a"])
    assert found.level is Level.WARN
    assert "is the source of no topic that is read" in found.text
    assert "kafka.topics" in found.hint


def test_where_topics_are_read_by_a_pattern_nobody_knows(tmp_path):
    sources = [{"topics": ["web.*"], "preset": "segment"}]
    (found,) = findings(tmp_path, sources, topic_pattern="web")
    assert found.level is Level.OK


def test_a_function_that_is_not_there_is_a_failure(tmp_path):
    sources = [{"topics": ["web"], "mapping": "python:nowhere_at_all:f"}]
    (found,) = findings(tmp_path, sources, topics=["web"])
    assert found.level is Level.FAIL
    assert "python:nowhere_at_all:f" in found.text
