"""Code → the pages and example files that list what it holds.

`make docs` writes them; tests/test_generated.py fails when one of them lags behind the code.
"""

import json
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from relay.schemas import SCHEMAS, rendered
from relay.settings.editor_schemas import EDITOR_SCHEMAS
from scripts.dashboard import dashboard
from scripts.logs_docs import logs_page
from scripts.metrics_docs import metrics_page
from scripts.runbook_page import runbook_page
from scripts.settings_docs import env_file, settings_page, yaml_file

ROOT = Path(__file__).parent.parent


def chart_alerts() -> str:
    """The alert rules inside the chart: Helm reads nothing outside of it."""
    return (ROOT / "deploy/alerts.yaml").read_text(encoding="utf-8")


def _schema(made: Callable[[], dict[str, Any]]) -> str:
    return rendered(made())


def example_events() -> str:
    """The examples of app events that go to the activities, one a line, for `relay schema`."""
    names = ("track", "choice", "profile")  # of one user, in the order of their times
    texts = [(ROOT / f"schemas/examples/{name}.json").read_text(encoding="utf-8") for name in names]
    return "".join(json.dumps(json.loads(text)) + "\n" for text in texts)


ALL_SCHEMAS = {**SCHEMAS, **EDITOR_SCHEMAS}
FILES: dict[str, Callable[[], str]] = {
    "docs/SETTINGS.md": settings_page,
    "docs/LOGS.md": logs_page,
    "docs/METRICS.md": metrics_page,
    ".env.example": env_file,
    "relay.example.yaml": yaml_file,
    **{f"schemas/{name}.json": partial(_schema, made) for name, made in ALL_SCHEMAS.items()},
    "relay/cli/examples/app-event.v1.ndjson": example_events,
    "deploy/dashboard.json": dashboard,
    "relay/telemetry/page/runbook.html": runbook_page,
    "deploy/helm/relay/files/alerts.yaml": chart_alerts,
}


if __name__ == "__main__":
    for name, render in FILES.items():
        (ROOT / name).write_text(render(), encoding="utf-8")
