"""A real Prometheus that scrapes one address every second."""

import contextlib
import shutil
import socket
import subprocess
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest
import yaml

from tests.support.kafka_admin import wait_for


class Prometheus:
    """Answers queries."""

    def __init__(self, url: str) -> None:
        self._url = url

    def is_ready(self) -> bool:
        with contextlib.suppress(httpx.HTTPError):
            return httpx.get(f"{self._url}/-/ready", timeout=30).status_code == 200
        return False

    def values(self, query: str) -> dict[str, float]:
        """The series that the query has now, by their labels; what is no number is left out."""
        answer = httpx.get(f"{self._url}/api/v1/query", params={"query": query}, timeout=30)
        answer.raise_for_status()
        found: list[Any] = answer.json()["data"]["result"]
        named = {
            ", ".join(
                f"{k}={v}" for k, v in sorted(one["metric"].items()) if k != "__name__"
            ): float(one["value"][1])
            for one in found
        }
        return {labels: value for labels, value in named.items() if value == value}  # noqa: PLR0124


@contextlib.contextmanager
def prometheus(
    directory: Path, target: str, *, every: str = "1s", rules: Sequence[str] = ()
) -> Iterator[Prometheus]:
    """Scrape `target`, and look at the files of rules, while the block runs."""
    program = shutil.which("prometheus")
    if program is None:
        pytest.skip("no prometheus: apt-get install prometheus")
    config = directory / "prometheus.yaml"
    job = {"job_name": "relay", "static_configs": [{"targets": [urlsplit(target).netloc]}]}
    times = {"scrape_interval": every, "scrape_timeout": "1s", "evaluation_interval": every}
    content = {"global": times, "scrape_configs": [job], "rule_files": list(rules)}
    config.write_text(yaml.safe_dump(content))
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    command = [
        program,
        f"--config.file={config}",
        f"--storage.tsdb.path={directory / 'tsdb'}",
        f"--web.listen-address=127.0.0.1:{port}",
        "--log.level=error",
    ]
    with (directory / "prometheus.log").open("wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log)
    try:
        server = Prometheus(f"http://127.0.0.1:{port}")
        wait_for(server.is_ready, 30, "prometheus does not start")
        yield server
    finally:
        process.terminate()
        process.wait(20)
