"""Pages whose commands are run as they stand, in the place that the page says.

`tests/test_every_command.py` names the tests of the other pages, and what no test can run.
"""

import re
import socket

import pytest

from relay.settings import load
from tests.support.kafka_admin import wait_for
from tests.support.pages import ROOT, Block, Shell, blocks, commands, inline, yaml_blocks

pytestmark = pytest.mark.slow

README = ROOT / "README.md"
DOCS = ROOT / "docs"
OURS = ("relay ", "curl ", "echo ")
"""What a walk runs. Other commands build, install or deploy, and are held to what they name."""


def free_port() -> str:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return str(found.getsockname()[1])


def others(block: Block) -> list[str]:
    return [command for command in commands(block.text) if not command.startswith(OURS)]


@pytest.mark.broker
def test_the_readme_leads_to_events_at_the_api(kafka, topic, tmp_path, monkeypatch):
    api, admin = free_port(), free_port()
    replaced = {
        "localhost:9092": kafka.bootstrap_servers,
        "--port 8080": f"--port {api}",
        "localhost:8080": f"localhost:{api}",
        "[app-events]": f"[{topic}]",
        "HOST:9464": f"localhost:{admin}",
        "localhost:9464": f"localhost:{admin}",
    }
    token = "a long token"
    environ = {
        "RELAY_ADMIN__PORT": admin,
        "RELAY_ADMIN__TOKEN": token,
        "TOKEN": token,
        "RELAY_KAFKA__GROUP_ID": topic,
    }
    start, used = tmp_path / "relay.yaml", list(blocks(README))
    sandbox, settings, running, emitted, own = [
        block for block in used if not others(block) and "relay " in block.text
    ]
    with Shell(tmp_path, monkeypatch, replaced, environ) as shell:
        shell.run(sandbox)
        example, rest = settings.text.split("\n", maxsplit=1)
        shell.run(Block(settings.line, example))
        start.write_text(shell.here(start.read_text()))  # the example names the addresses, too
        said = shell.run(Block(settings.line, rest))
        assert "fail" not in said
        shell.run(running)
        first, rest = emitted.text.split("\n", maxsplit=1)
        shell.run(Block(emitted.line, first))
        summary = Block(0, "curl -s localhost:8080/_sandbox/summary\n")
        wait_for(lambda: '"activities": 3' in shell.run(summary), 60, "events are missing")
        said = shell.run(Block(emitted.line, rest))
        assert "2048" in said
        assert '"out_of_order": 0' in said
        curls = [one for one in inline(DOCS / "RUNBOOK.md") if one.startswith("curl ")]
        said = shell.run(Block(0, "\n".join(curls)))
        assert '"partitions":' in said
        assert "relay_ledger_balanced 1.0" in said
        (again,) = blocks(DOCS / "PAGE.md")
        assert '"letters":0' in shell.run(again)
        start.write_text(start.read_text() + yaml_blocks(README)[0])
        said = shell.run(own)
        assert "becomes track" in said


def test_the_settings_of_the_readme_are_complete(tmp_path, monkeypatch):
    """The two parts of `Your topic` and `Your broker and datamart`, one behind the other."""
    monkeypatch.chdir(tmp_path)
    sources, own = yaml_blocks(README)
    for name in ("kafka-password", "mics-token"):
        (tmp_path / name).write_text("s3cret")
    text = (own + sources).replace("/run/secrets", str(tmp_path))
    (tmp_path / "relay.yaml").write_text(text)
    topics = [list(source.topics) for source in load(None, {}).sources]
    assert topics == [["web.clicks"], ["mparticle.events"], ["shop.orders"]]


def test_the_page_on_events_shows_what_examples_become(tmp_path, monkeypatch):
    with Shell(tmp_path, monkeypatch, {}, {"RELAY_IDENTITY__DEFAULT_COMPARTMENT_ID": "1"}) as shell:
        said = "".join(map(shell.run, blocks(DOCS / "EVENTS.md")))
    assert "/user_activities" in said


def test_the_sandbox_answers_as_its_page_shows(tmp_path, monkeypatch):
    port = free_port()
    replaced = {"--port 8080": f"--port {port}", "localhost:8080": f"localhost:{port}"}
    with Shell(tmp_path, monkeypatch, replaced, {}) as shell:
        at_the_api, _ = blocks(DOCS / "SANDBOX.md")
        said = shell.run(at_the_api)
    assert '{"status":"ok","data":true}' in said
    assert re.search(r'"activities":\s*1\b', said), said


def test_the_commands_of_the_page_on_segments_do_what_it_says(tmp_path, monkeypatch):
    port = free_port()
    api = f"http://localhost:{port}"
    replaced = {
        "--port 8080": f"--port {port}",
        "localhost:8080": f"localhost:{port}",
        "/run/secrets": str(tmp_path),
        "/var/lib/relay": str(tmp_path),
    }
    environ = {
        "RELAY_TRACKING__BASE_URL": api,
        "RELAY_SEGMENTS__MPARTICLE__BASE_URL": api,
        "RELAY_SEGMENTS__MPARTICLE__POLL_S": "0.1",
        "RELAY_SEGMENTS__IMPORTS__POLL_S": "0.1",
        "RELAY_SEGMENTS__EXPORTS__ALLOW_PRIVATE_HOSTS": "true",
        "RELAY_SEGMENTS__DIGITAL_AUDIENCE__BASE_URL": api,
        "RELAY_SEGMENTS__DIGITAL_AUDIENCE__USER_NAME": "u",
        "RELAY_SEGMENTS__DIGITAL_AUDIENCE__PASSWORD": "p",
    }
    for name in ("mics-token", "mparticle-key", "mparticle-token"):
        (tmp_path / name).write_text("s3cret")
    with Shell(tmp_path, monkeypatch, replaced, environ) as shell:
        settings = shell.here(yaml_blocks(DOCS / "SEGMENTS.md")[0])
        (tmp_path / "relay.yaml").write_text(settings)
        (tmp_path / "users.csv").write_text("mpid\n" + "".join(f"{n}\n" for n in range(1, 501)))
        (tmp_path / "vip.ndjson").write_text(
            '{"operation": "UPDATE", "email_hash": "aa", "segment_id": "7", '
            '"expiration_duration": 60}\n'
        )
        _, synced = blocks(DOCS / "SANDBOX.md")
        made = shell.run(synced)
        said = "".join(map(shell.run, blocks(DOCS / "SEGMENTS.md")))
    assert "500 members" in made
    for words in ("Churn", "Account", "stay            500", "Churn NL: created"):
        assert words in said, words
