"""What the pages about watching, dead letters and sending again show, made on a real Kafka.

    python -m tests.support.shown     # starts a Kafka of its own, and prints all of it

Each command is run as the page says, against a relay that runs; `test_docs_of_watching.py` compares
the shape of what comes with what the pages show.
"""

import subprocess
import sys
import tempfile
import uuid
from collections.abc import Mapping
from pathlib import Path

from tests.support.kafka_admin import Kafka, wait_for
from tests.support.kafka_cluster import KafkaCluster
from tests.support.road import Feeder, Sandbox, bare_environ, relay_environ, relay_run

NAME = "app-events"
"""What the topic is called on the pages."""
_REFUSED = {"rules": [{"kind": "status", "status": 422, "rate": 0.1}]}
_HELD = {"rules": [{"kind": "status", "status": 401}]}


class Shown:
    """Runs commands beside a relay; `outputs` has what each printed, both streams in order."""

    def __init__(self, kafka: Kafka, topic: str, directory: Path) -> None:
        self._kafka = kafka
        self._topic = topic
        self._directory = directory
        self._feeder = Feeder(kafka, topic, 1, 50)
        self.outputs: dict[str, str] = {}

    def run(self) -> None:
        """Everything, in an order in which each command has something to show."""
        with Sandbox() as sandbox:
            group = f"shown-{uuid.uuid4().hex[:8]}"
            environ = relay_environ(self._kafka, self._topic, sandbox.url, group)
            environ["RELAY_DELIVERY__PROGRESS_EVERY_S"] = "1"
            with relay_run(environ) as relay:
                admin = str(relay.until("relay_started")["admin"])
                environ["RELAY_ADMIN__PORT"] = admin.rpartition(":")[2]
                sandbox.faults(_REFUSED)
                with self._feeder.going_on(20, bad=0.02):
                    self._look("relay tap --code http_422 --limit 2", environ)
                wait_for(lambda: len(relay.said("record_dead_lettered")) > 2, 60, "none died")
                self._dead_letters(environ)
                sandbox.faults(_HELD)
                self._feeder.send(300)
                relay.until("destination_held")
                self._look("relay top", environ)
                sandbox.faults({"rules": []})
                relay.terminate()
            environ["RELAY_ADMIN__PORT"] = "0"
            self._look("relay run --from 2h --to 1s --group replay-1 | grep '\"drain_'", environ)
            self._file(environ)

    def _dead_letters(self, environ: Mapping[str, str]) -> None:
        self._look("relay dlq summary --since 7d", environ)
        listed = self._look("relay dlq list --code http_422 --limit 2", environ)
        self._look(f"relay dlq show {listed.split()[0]}", environ)
        self._look("relay dlq replay --code http_422 --since 2h --dry-run", environ)

    def _file(self, environ: Mapping[str, str]) -> None:
        lines = [self._feeder.event(f"user-{number % 7}", number) for number in range(200)]
        lines[7] = b'{"type":"track","id":'
        (self._directory / "events.ndjson").write_bytes(b"\n".join(lines) + b"\n")
        self._look("relay send events.ndjson --rejected rejected.ndjson", environ)

    def _look(self, command: str, environ: Mapping[str, str]) -> str:
        done = subprocess.run(
            f"set -o pipefail; {command.replace(NAME, self._topic)}",
            shell=True,  # as somebody types it
            executable="/bin/bash",
            cwd=self._directory,
            env={
                **bare_environ(),
                **environ,
                "COLUMNS": "100",
                "PATH": f"{Path(sys.executable).parent}:/usr/bin:/bin",
            },
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=120,
            check=False,
        )
        said = done.stdout.replace(self._topic, NAME)
        if done.returncode:
            said += f"$ echo $?\n{done.returncode}\n"
        self.outputs[command.replace(self._topic, NAME)] = said
        return said


def main() -> None:
    """Print what the pages may show."""
    with KafkaCluster() as kafka, tempfile.TemporaryDirectory() as home:
        shown = Shown(kafka, kafka.create_topic(NAME, partitions=4), Path(home))
        shown.run()
        for command, said in shown.outputs.items():
            sys.stdout.write(f"$ {command}\n{said}\n")


if __name__ == "__main__":
    main()
