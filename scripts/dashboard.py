"""A list of panels → deploy/dashboard.json, to be imported into Grafana.

The panels stand in the order of the questions at 3 am: is anything lost, what is stuck, how fast
is it, what does the API say, how is the process.
"""

import json
from dataclasses import dataclass
from typing import Any

_WIDTH, _HEIGHT = 24, 8
_SOURCE = {"type": "prometheus", "uid": "${source}"}
_DEAD = 'relay_records_settled_total{job=~"$job", fate="dead_lettered"}'
_MEMBERSHIP = 'relay_membership_records_settled_total{job=~"$job", code!="not_a_membership"}'
_IMPORTS = "relay_membership_imports_total"
_ONLY = '{job=~"$job"}'


@dataclass(frozen=True, slots=True)
class Panel:
    """One picture: queries with their legends. `@` in a query stands for the chosen jobs."""

    title: str
    about: str
    queries: tuple[tuple[str, str], ...]
    unit: str = "short"
    kind: str = "timeseries"
    width: int = 8
    stacked: bool = False


def _quantiles(histogram: str) -> tuple[tuple[str, str], ...]:
    buckets = f"sum by (le) (rate({histogram}_bucket@[$__rate_interval]))"
    return tuple(
        (f"histogram_quantile({share}, {buckets})", f"p{share * 100:g}") for share in (0.5, 0.99)
    )


ROWS: tuple[tuple[str, tuple[Panel, ...]], ...] = (
    (
        "Is anything lost",
        (
            Panel(
                "Fates",
                "What became of the records. Taken = delivered + dead-lettered + skipped + open.",
                (
                    (
                        "sum by (fate) (rate(relay_records_settled_total@[$__rate_interval]))",
                        "{{fate}}",
                    ),
                    ("sum(rate(relay_records_taken_total@[$__rate_interval]))", "taken"),
                ),
                unit="ops",
                width=12,
            ),
            Panel(
                "Dead letters",
                "By code. docs/RUNBOOK.md#relaydeadletters",
                (
                    (
                        f"sum by (code) (increase({_DEAD}[$__rate_interval]))",
                        "{{code}}",
                    ),
                ),
                width=8,
                stacked=True,
            ),
            Panel(
                "Ledger",
                "1 while every record is accounted for.",
                (("min(relay_ledger_balanced@)", "balanced"),),
                kind="stat",
                width=4,
            ),
        ),
    ),
    (
        "What is stuck",
        (
            Panel(
                "Lag",
                "Records that are not settled, read or not.",
                (("sum by (topic) (relay_lag@)", "{{topic}}"),),
            ),
            Panel(
                "State of the API",
                "held: token, datamart or endpoint refused. down: no answer.",
                (
                    (
                        "max by (destination, state) (relay_destination_state@)",
                        "{{destination}}: {{state}}",
                    ),
                ),
            ),
            Panel(
                "Frontier pinned by one record",
                "How long the same record has been the oldest without a fate.",
                (
                    (
                        "max by (topic, partition) (relay_frontier_pinned_seconds@)",
                        "{{topic}}-{{partition}}",
                    ),
                ),
                unit="s",
            ),
            Panel(
                "Records in memory",
                "Without a fate, and those of them that wait for their turn.",
                (
                    ("sum(relay_records_open@)", "open"),
                    ("sum(relay_records_waiting@)", "waiting"),
                ),
            ),
            Panel(
                "Memory of records",
                "What the open records weigh; bounded by the settings.",
                (("sum by (instance) (relay_records_open_bytes@)", "{{instance}}"),),
                unit="bytes",
            ),
            Panel(
                "Commit metadata",
                "How full it is: at 1 the partition pauses.",
                (
                    (
                        "max by (topic, partition) (relay_offset_map_fill@)",
                        "{{topic}}-{{partition}}",
                    ),
                ),
                unit="percentunit",
            ),
        ),
    ),
    (
        "How fast is it",
        (
            Panel(
                "Lateness",
                "From production to delivery.",
                _quantiles("relay_lateness_seconds"),
                unit="s",
            ),
            Panel(
                "Round trip",
                "From request to answer.",
                _quantiles("relay_round_trip_seconds"),
                unit="s",
            ),
            Panel(
                "Requests under way",
                "And how many Relay allows itself.",
                (
                    ("sum(relay_requests_in_flight@)", "in flight"),
                    ("sum(relay_concurrency_limit@)", "limit"),
                ),
            ),
        ),
    ),
    (
        "What the API says",
        (
            Panel(
                "Attempts",
                "By verdict and code.",
                (
                    (
                        "sum by (verdict, code) (rate(relay_attempts_total@[$__rate_interval]))",
                        "{{verdict}} {{code}}",
                    ),
                ),
                unit="ops",
                width=12,
                stacked=True,
            ),
            Panel(
                "Pauses and outages",
                "How often the API asked for a pause, was down, or refused us.",
                (
                    ("sum(increase(relay_throttles_total@[$__rate_interval]))", "throttled"),
                    ("sum(increase(relay_outages_total@[$__rate_interval]))", "down"),
                    ("sum(increase(relay_holds_total@[$__rate_interval]))", "held"),
                ),
                width=12,
            ),
        ),
    ),
    (
        "Segment events",
        (
            Panel(
                "Fates of segment events",
                "Where segments.membership is enabled; without what is the stream's.",
                ((f"sum by (fate) (rate({_MEMBERSHIP}[$__rate_interval]))", "{{fate}}"),),
                unit="ops",
            ),
            Panel(
                "Executions",
                "How imports ended. docs/RUNBOOK.md#relaysegmentslate",
                ((f"sum by (outcome) (increase({_IMPORTS}@[$__rate_interval]))", "{{outcome}}"),),
                stacked=True,
            ),
            Panel(
                "Oldest segment event",
                "How long it has waited for an import that takes it.",
                (("max(relay_membership_oldest_seconds@)", "oldest"),),
                unit="s",
            ),
        ),
    ),
    (
        "How are Kafka and the process",
        (
            Panel(
                "Kafka",
                "Assignments, and calls that failed.",
                (
                    ("sum(increase(relay_rebalances_total@[$__rate_interval]))", "assignments"),
                    (
                        "sum by (code) (increase(relay_kafka_errors_total@[$__rate_interval]))",
                        "{{code}}",
                    ),
                    (
                        "sum by (code) (increase(relay_commit_errors_total@[$__rate_interval]))",
                        "commit {{code}}",
                    ),
                ),
            ),
            Panel(
                "CPU",
                "Cores in use.",
                (
                    (
                        "rate(process_cpu_seconds_total@[$__rate_interval])",
                        "{{instance}}",
                    ),
                ),
            ),
            Panel(
                "Memory of the process",
                "Resident.",
                (("process_resident_memory_bytes@", "{{instance}}"),),
                unit="bytes",
            ),
        ),
    ),
)


def dashboard() -> str:
    """deploy/dashboard.json."""
    panels: list[dict[str, Any]] = []
    top = 0
    for title, row in ROWS:
        panels.append(
            {
                "type": "row",
                "id": len(panels) + 1,
                "title": title,
                "collapsed": False,
                "panels": [],
                "gridPos": {"x": 0, "y": top, "w": _WIDTH, "h": 1},
            }
        )
        top += 1
        left = 0
        for panel in row:
            if left + panel.width > _WIDTH:
                top, left = top + _HEIGHT, 0
            place = {"x": left, "y": top, "w": panel.width, "h": _HEIGHT}
            panels.append(_panel(panel, len(panels) + 1, place))
            left += panel.width
        top += _HEIGHT
    whole = {
        "title": "Relay",
        "uid": "relay-overview",
        "description": "App events from Kafka to the tracking API. Made by `make docs`.",
        "tags": ["relay"],
        "schemaVersion": 39,
        "version": 1,
        "editable": True,
        "refresh": "30s",
        "time": {"from": "now-3h", "to": "now"},
        "templating": {"list": [_source_variable(), _job_variable()]},
        "panels": panels,
    }
    return json.dumps(whole, indent=2) + "\n"


def _panel(panel: Panel, number: int, place: dict[str, int]) -> dict[str, Any]:
    custom = {
        "fillOpacity": 15 if panel.stacked else 0,
        "stacking": {"mode": "normal" if panel.stacked else "none"},
    }
    return {
        "type": panel.kind,
        "id": number,
        "title": panel.title,
        "description": panel.about,
        "datasource": _SOURCE,
        "gridPos": place,
        "fieldConfig": {
            "defaults": {"unit": panel.unit, "min": 0, "custom": custom},
            "overrides": [],
        },
        "targets": [
            {
                "refId": chr(ord("A") + index),
                "datasource": _SOURCE,
                "expr": query.replace("@", _ONLY),
                "legendFormat": legend,
            }
            for index, (query, legend) in enumerate(panel.queries)
        ],
    }


def _source_variable() -> dict[str, Any]:
    return {"name": "source", "label": "Prometheus", "type": "datasource", "query": "prometheus"}


def _job_variable() -> dict[str, Any]:
    return {
        "name": "job",
        "label": "Job",
        "type": "query",
        "datasource": _SOURCE,
        "query": {"query": "label_values(relay_records_taken_total, job)", "refId": "job"},
        "refresh": 2,
        "multi": True,
        "includeAll": True,
        "allValue": ".*",
        "current": {"text": "All", "value": "$__all"},
    }
