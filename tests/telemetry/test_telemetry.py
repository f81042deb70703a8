"""Facts move the counter that they declare, and write their line, together."""

import io

from prometheus_client import CollectorRegistry

from relay.stream.facts import DestinationDown, TokenReloaded
from relay.telemetry.log import configure
from relay.telemetry.telemetry import Telemetry
from scripts.every_fact import every_fact


def arrange():
    sink, registry = io.BytesIO(), CollectorRegistry()
    return Telemetry(configure(json=True, stream=sink), registry), sink, registry


def outages(registry, code):
    labels = {"destination": "default", "code": code}
    return registry.get_sample_value("relay_outages_total", labels)


def test_a_fact_writes_its_line_and_moves_its_counter_by_one():
    telemetry, sink, registry = arrange()
    telemetry.emit(DestinationDown(scope="all", code="timeout", reason="no answer", probe_in_s=1))
    assert b"destination_down" in sink.getvalue()
    assert (
        registry.get_sample_value(
            "relay_outages_total", {"destination": "default", "code": "timeout"}
        )
        == 1
    )


def test_labels_of_a_counter_come_from_the_fields_of_the_fact():
    telemetry, _, registry = arrange()
    for code in ("timeout", "http_503", "timeout"):
        telemetry.emit(DestinationDown(scope="all", code=code, reason="no answer", probe_in_s=1))
    assert (
        registry.get_sample_value(
            "relay_outages_total", {"destination": "default", "code": "timeout"}
        )
        == 2
    )
    assert (
        registry.get_sample_value(
            "relay_outages_total", {"destination": "default", "code": "http_503"}
        )
        == 1
    )


def test_a_fact_without_a_counter_is_only_a_line():
    telemetry, sink, _ = arrange()
    telemetry.emit(TokenReloaded())
    assert sink.getvalue().count(b"\n") == 1


def test_counters_of_destinations_alone_are_there_for_each_before_anything_happened():
    registry = CollectorRegistry()
    log = configure(json=True, stream=io.BytesIO())
    Telemetry(log, registry, destinations=["shop-fr", "shop-de"])
    for name in ("shop-fr", "shop-de"):
        assert registry.get_sample_value("relay_throttles_total", {"destination": name}) == 0


def test_counters_without_labels_are_there_before_anything_happened():
    _, _, registry = arrange()
    for fact in every_fact():
        if fact.counter and not fact.counter.labels:
            assert registry.get_sample_value(fact.counter.name) == 0
