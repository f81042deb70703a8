"""Scraped values → what deploy/alerts.yaml makes of them, by Prometheus' own `promtool`."""

import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml
from prometheus_client.parser import text_string_to_metric_families

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
        content = {
            "rule_files": [str(_RULES)],
            "evaluation_interval": "1m",
            "tests": [
                {
                    "interval": "1m",
                    "input_series": [
                        {"series": name, "values": values} for name, values in series.items()
                    ],
                    "alert_rule_test": [
                        {
                            "eval_time": f"{minute}m",
                            "alertname": alert,
                            "exp_alerts": [_expected(alert, label) for label in labels],
                        }
                    ],
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


def _expected(alert: str, labels: Mapping[str, str]) -> dict[str, Any]:
    rules = yaml.safe_load(_RULES.read_text(encoding="utf-8"))["groups"][0]["rules"]
    (rule,) = [rule for rule in rules if rule["alert"] == alert]
    annotations = dict(rule["annotations"])
    for name, value in labels.items():
        for key, text in annotations.items():
            annotations[key] = text.replace(f"{{{{ $labels.{name} }}}}", value)
    return {"exp_labels": {**rule["labels"], **labels}, "exp_annotations": annotations}
