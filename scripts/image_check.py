"""`make image-check`: builds deploy/Dockerfile, then runs a road through the image.

`python -m scripts.image_check [--base IMAGE] [--with-demo]`. Broker, tracking API and producer run
on this machine, Relay in the image, as its user and on a read-only root. Says what it found, a
line each; status 1 when a promise does not hold, 2 where nothing builds images.
"""

import argparse
import json
import re
import subprocess
import sys
from collections.abc import Mapping

import httpx

from relay.sandbox.embedded_broker import embedded_broker
from scripts.container_engines import Engine, NoEngine, build_options, engine
from scripts.generate import ROOT
from tests.support.kafka_admin import Kafka, NoKafka, wait_for
from tests.support.road import Feeder, Process, Sandbox, committed, relay_environ

TOPIC = "app-events"
EVENTS = 2000
_MIB = 1024 * 1024

_INSIDE = """
import importlib.metadata, json, os, pathlib
def writes(folder):
    try:
        with open(os.path.join(folder, "x"), "wb"): return True
    except OSError: return False
root = pathlib.Path("/opt/relay")
print(json.dumps({
    "uid": os.getuid(), "gid": os.getgid(), "groups": os.getgroups(),
    "capabilities": [l.split()[1] for l in open("/proc/self/status") if l.startswith("CapEff")][0],
    "writes": [f for f in ("/", "/opt/relay", "/etc/relay", "/usr", "/var", "/tmp") if writes(f)],
    "packages": {d.name.lower().replace("_", "-").replace(".", "-"): d.version
                 for d in importlib.metadata.distributions()},
    "listed": {c["name"].lower().replace("_", "-").replace(".", "-"): c["version"]
               for c in json.loads((root / "sbom.cdx.json").read_text())["components"]},
    "relay_bytes": sum(f.stat().st_size for f in root.rglob("*") if not f.is_symlink()),
    "python": os.popen("python --version").read().strip(),
}))
"""
"""What the image is asked about itself; its Python runs this."""


def main() -> int:
    """Build, look, run; the exit status."""
    parser = argparse.ArgumentParser(prog="image-check", description=__doc__)
    parser.add_argument("--base", help="image to build on, instead of the Dockerfile's")
    parser.add_argument(
        "--with-demo", action="store_true", help="build with WITH_DEMO=1 and run the demo in it"
    )
    options = parser.parse_args()
    try:
        with engine() as found:
            print(f"building deploy/Dockerfile with {found.name}", flush=True)
            with build_options(options.base, demo=options.with_demo) as build:
                found.build(build)
            (_demo if options.with_demo else check)(found)
    except NoEngine as missing:
        print(missing, file=sys.stderr)
        return 2
    except subprocess.CalledProcessError as failed:
        print(f"FAIL  deploy/Dockerfile does not build: {failed}", file=sys.stderr)
        return 1
    except (AssertionError, NoKafka) as broken:
        print(f"FAIL  {broken}", file=sys.stderr)
        return 1
    return 0


def check(image: Engine) -> None:
    """Every promise about the image; raises AssertionError or NoKafka for one that is broken."""
    _contents(image)
    _left_out(image)
    with embedded_broker(TOPIC, f"{TOPIC}.dlq") as servers, Sandbox() as sandbox:
        kafka = Kafka(servers)
        _drained(image, kafka, sandbox)
        _membership_needs_a_place_for_files(image, kafka, sandbox)


def _demo(image: Engine) -> None:
    """What docker-compose.yml and everybody who tries things out build."""
    command = image.command(["relay", "demo", "--events", "500", "--json"], {}, tmpfs=False)
    result = json.loads(_output(command))
    ok(bool(result), f"relay demo in the image: {json.dumps(result)[:200]}")
    said = _output(image.command(["relay", "sandbox", "--help"], {}, tmpfs=False))
    ok("--token" in said, "relay sandbox is in it")


def _contents(image: Engine) -> None:
    pinned = dict(
        re.findall(
            r"^([a-z0-9-]+)==(\S+)(?! ; sys_platform == 'win32')",
            (ROOT / "requirements/production.txt").read_text(encoding="utf-8"),
            re.MULTILINE,
        )
    )
    pinned.pop("colorama", None)  # Windows
    inside = json.loads(_output(image.command(["python", "-c", _INSIDE], {}, tmpfs=False)))
    packages = inside["packages"]
    relay = packages.pop("mics-relay")
    ok(packages == pinned, f"{len(packages)} packages, the versions of requirements/production.txt")
    inside["listed"].pop("mics-relay", None)
    ok(inside["listed"] == packages, "the same in /opt/relay/sbom.cdx.json")
    ok((inside["uid"], inside["gid"]) == (10001, 10001), "runs as 10001:10001")
    ok(int(inside["capabilities"], 16) == 0, "without a capability")
    ok(not inside["writes"], "can write nowhere, with no tmpfs on /tmp")
    said = _output(image.command(["relay", "--version"], {}, tmpfs=False)).strip()
    ok(relay in said, f"says {said!r}, on {inside['python']}")
    size, ours = image.size() / _MIB, inside["relay_bytes"] / _MIB
    print(f"      {size:.0f} MiB, of which /opt/relay {ours:.0f} MiB and the base the rest")
    print("      " + ", ".join(f"{name} {version}" for name, version in sorted(packages.items())))


def _left_out(image: Engine) -> None:
    for name in ("sandbox", "demo"):
        done = _run(image.command(["relay", name], {}, tmpfs=False))
        said = done.returncode == 3 and "WITH_DEMO=1" in done.stderr  # noqa: PLR2004 - settings
        ok(said, f"relay {name} is not in it, and says how to get it")
    found = _output(
        image.command(["find", "/opt/relay", "-path", "*/relay/sandbox"], {}, tmpfs=False)
    )
    found += _output(
        image.command(["find", "/opt/relay", "-path", "*/relay/demo"], {}, tmpfs=False)
    )
    ok(not found.strip(), "no code of either is in it")


def _drained(image: Engine, kafka: Kafka, sandbox: Sandbox) -> None:
    """A stop in the middle, and a second Relay that goes on where the first stopped."""
    slow = {"rules": [{"kind": "slow", "delay_ms": 20}]}
    environ = relay_environ(kafka, TOPIC, sandbox.url, "image", DELIVERY__MAX_IN_FLIGHT="8")
    feeder = Feeder(kafka, TOPIC, 1, 200)
    sandbox.faults(slow)
    with _relay(image, environ, tmpfs=False) as relay:
        admin = relay.until("relay_started", 60)["admin"]
        feeder.send(EVENTS)
        wait_for(lambda: sandbox.summary()["events"] > EVENTS / 20, 60, "nothing was delivered")
        ok(_status(f"{admin}/livez") == _status(f"{admin}/readyz") == 200, "is live and ready")  # noqa: PLR2004 - HTTP
        status = relay.terminate(60)
    before = sandbox.summary()["events"]
    ok(status == 0, f"TERM with {EVENTS - before} of {EVENTS} events to go: status {status}")
    offsets = sum(committed(kafka, "image", TOPIC).values())
    ok(
        offsets <= before,
        f"delivered by then: {before}; committed: offsets up to {offsets}, the rest in their map",
    )
    sandbox.faults({"rules": []})
    with _relay(image, environ, tmpfs=True) as relay:
        relay.until("relay_started", 60)
        wait_for(lambda: sandbox.summary()["events"] >= EVENTS, 60, "events are missing")
        status = relay.terminate(60)
    summary = sandbox.summary()
    clean = summary["events"] == EVENTS and summary["out_of_order"] == 0
    ok(status == 0 and clean, f"the next one, with a tmpfs on /tmp: {EVENTS} events, in order")
    ok(summary["duplicate_events"] == 0, "and none of them twice")
    offsets = sum(committed(kafka, "image", TOPIC).values())
    ok(offsets == EVENTS, f"committed offsets: {offsets} of {EVENTS}")


def _membership_needs_a_place_for_files(image: Engine, kafka: Kafka, sandbox: Sandbox) -> None:
    environ = relay_environ(
        kafka, TOPIC, sandbox.url, "image", SEGMENTS__MEMBERSHIP__ENABLED="true"
    )
    with _relay(image, environ, tmpfs=False) as relay:
        ok(relay.wait(60) == 22, "membership without a tmpfs: status 22")  # noqa: PLR2004 - local state
        ok("/tmp" in relay.text() and "Traceback" not in relay.text(), "and says what it needs")  # noqa: S108 - text
    with _relay(image, environ, tmpfs=True) as relay:
        relay.until("relay_started", 60)
        ok(relay.terminate(60) == 0, "membership with a tmpfs on /tmp: starts and stops")


def ok(holds: bool, promise: str) -> None:
    """Say a promise that holds; raise AssertionError for one that does not."""
    if not holds:
        raise AssertionError(promise)
    print(f"ok    {promise}", flush=True)


def _relay(image: Engine, environ: Mapping[str, str], *, tmpfs: bool) -> Process:
    return Process([], program=image.command(["relay", "run"], environ, tmpfs=tmpfs))


def _status(url: str) -> int:
    return httpx.get(url, timeout=10).status_code


def _run(command: list[str]) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)  # noqa: S603


def _output(command: list[str]) -> str:
    done = _run(command)
    ok_status = done.returncode == 0
    if not ok_status:
        raise AssertionError(f"in the image, {command[-1][:40]!r}: {done.stderr.strip()[-400:]}")
    return done.stdout


if __name__ == "__main__":
    sys.exit(main())
