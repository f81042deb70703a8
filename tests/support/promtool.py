"""Scraped values → what deploy/alerts.yaml makes of them, by Prometheus' own `promtool`."""

import shutil
import subprocess
import time
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml
from prometheus_client import Metric
from prometheus_client.parser import text_string_to_metric_families

from tests.support.kafka_admin import wait_for

_RULES = Path(__file__).resolve().parents[2] / "deploy" / "alerts.yaml"


def samples(text: str, name: str) -> dict[str, float]:
    """The series of one metric in what /metrics answered, with their values."""
    found = {}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            if sample.name == name:
                labels = ",".join(f'{k}="{v}"' for k, v in sorted(sample.labels.items()))
                found[f"{name}{{{labels}}}"] = sample.value
    return found


def steady(values: Mapping[str, float], minutes: int) -> dict[str, str]:
    """Series that keep a value, a sample each minute."""
    return {series: f"{value}x{minutes}" for series, value in values.items()}


def stepped(
    first: Mapping[str, float], second: Mapping[str, float], minutes: int
) -> dict[str, str]:
    """Series that keep their first value for five minutes and then the second."""
    return {series: f"{value}x4 {second[series]}x{minutes}" for series, value in first.items()}


def growing(
    first: Mapping[str, float], second: Mapping[str, float], minutes: int
) -> dict[str, str]:
    """Series that go on as they went from `first` to `second`, a sample each minute."""
    return {
        series: f"{value}{second[series] - value:+}x{minutes}" for series, value in first.items()
    }


def scraped(admin: str) -> tuple[float, dict[str, float]]:
    """When, and every series of ours with its value."""
    at, families = _families(admin)
    return at, {name: value for _, name, value in _series(families)}


def _families(admin: str) -> tuple[float, list[Metric]]:
    text = httpx.get(f"{admin}/metrics", timeout=30).raise_for_status().text
    families = text_string_to_metric_families(text)
    now = time.monotonic()  # noqa: TID251 - a process lives in real time
    return now, [family for family in families if family.name.startswith("relay_")]


def _series(families: Iterable[Metric]) -> Iterator[tuple[Metric, str, float]]:
    for family in families:
        for sample in family.samples:
            labels = ",".join(f'{k}="{v}"' for k, v in sorted(sample.labels.items()))
            yield family, f"{sample.name}{{{labels}}}", sample.value


def goes_on(
    admin: str,
    minutes: int,
    feed: Callable[[], None] | None = None,
    seconds: float = 3.0,
    grows: Collection[str] = (),
) -> dict[str, str]:
    """Two scrapes with what happens between them, drawn out: a sample each minute.

    What counts goes on counting as it did between the two. A gauge stays where it was: the
    difference of two of its values is chance, but for those that the fault lets grow.
    """
    at, before = scraped(admin)

    def later() -> bool:
        if feed is not None:
            feed()
        return time.monotonic() - at >= seconds  # noqa: TID251 - as above

    wait_for(later, 30, "no time")
    end, families = _families(admin)
    series = {}
    for family, name, value in _series(families):
        goes = family.type != "gauge" or family.name in grows
        each = (value - before.get(name, value)) * 60 / (end - at) if goes else 0.0
        series[name] = f"{value:.6f}{each:+.6f}x{minutes}"
    assert {family.name for family in families}.issuperset(grows)
    return series


class Alerts:
    """Runs the rules over series."""

    def __init__(self, directory: Path) -> None:
        self._promtool = shutil.which("promtool")
        if self._promtool is None:
            pytest.skip("no promtool: apt-get install prometheus")
        self._file = directory / "rules-test.yaml"

    def fire(
        self, series: Mapping[str, str], alert: str, minute: int, *labels: Mapping[str, str]
    ) -> None:
        """Assert that at this minute the alert fires for each of `labels`, and for nothing else."""
        self._run(series, [_asked(alert, minute, labels)])

    def stay_silent(self, series: Mapping[str, str], names: Iterable[str], minutes: int) -> None:
        """Assert that none of these alerts fires at any of so many minutes."""
        asked = [_asked(name, minute, ()) for name in names for minute in range(1, minutes + 1)]
        self._run(series, asked)

    def _run(self, series: Mapping[str, str], asked: Sequence[Mapping[str, Any]]) -> None:
        content = {
            "rule_files": [str(_RULES)],
            "evaluation_interval": "1m",
            "tests": [
                {
                    "interval": "1m",
                    "input_series": [
                        {"series": name, "values": values} for name, values in series.items()
                    ],
                    "alert_rule_test": list(asked),
                }
            ],
        }
        self._file.write_text(yaml.safe_dump(content))
        done = subprocess.run(
            [str(self._promtool), "test", "rules", str(self._file)],
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr


def _asked(alert: str, minute: int, labels: Iterable[Mapping[str, str]]) -> dict[str, Any]:
    return {
        "eval_time": f"{minute}m",
        "alertname": alert,
        "exp_alerts": [_expected(alert, label) for label in labels],
    }


def _expected(alert: str, labels: Mapping[str, str]) -> dict[str, Any]:
    rules = yaml.safe_load(_RULES.read_text(encoding="utf-8"))["groups"][0]["rules"]
    (rule,) = [rule for rule in rules if rule["alert"] == alert]
    annotations = dict(rule["annotations"])
    for name, value in labels.items():
        for key, text in annotations.items():
            annotations[key] = text.replace(f"{{{{ $labels.{name} }}}}", value)
    return {"exp_labels": {**rule["labels"], **labels}, "exp_annotations": annotations}
