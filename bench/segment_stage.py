"""The vendors' side for measuring `relay segments sync`: sandbox and S3, each a process of its own.

The relay that is measured is a third process, so nothing here counts for its memory.
"""

import contextlib
import json
import random
import resource
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import obstore
from obstore.store import S3Store

SOURCE = "82200474-c131-4f7b-a35e-381469af31a7"
TOKEN = "token-1"
BUCKET, OBJECT = "upload-bucket", "path/to/export.csv"
S3 = """
import sys, time
from moto.server import ThreadedMotoServer
server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
server.start()
host, port = server.get_host_and_port()
print(f"http://{host}:{port}", flush=True)
sys.stdin.read()
"""


@dataclass(frozen=True, slots=True)
class Ended:
    """A relay process that ended: status, seconds, largest resident memory, what it wrote."""

    status: int
    seconds: float
    cpu_s: float
    peak_mb: float
    out: str
    err: str

    @property
    def report(self) -> dict:
        """What `--json` said."""
        return json.loads(self.out)


@dataclass(frozen=True, slots=True)
class Stage:
    """Addresses of the vendors, and a directory for files."""

    sandbox: httpx.Client
    s3: str
    directory: Path

    def reset(self, **imports: int) -> None:
        """Empty the vendors."""
        self.sandbox.delete("/_sandbox")
        self.sandbox.put("/_sandbox/imports", json=imports)
        options = {"takes_ms": 300, "location": f"s3://{BUCKET}/{OBJECT}"}
        self.sandbox.put("/_sandbox/mparticle", json=options).raise_for_status()

    def answer_late(self) -> None:
        """Do what is asked at once and answer later: a kill in between loses the answer."""
        late = {"kind": "slow", "method": "POST", "path": "/v1/*", "delay_ms": 700}
        self.sandbox.put("/_sandbox/faults", json={"rules": [late]}).raise_for_status()

    def export_is(self, users: list[str]) -> int:
        """Make these the users of the segment; the bytes of its export."""
        path = self.directory / "source.csv"
        with path.open("w") as file:
            file.write("mpid,customer_id,last_seen\n")
            for user in users:
                file.write(f"{user},c-{user[-6:]},2026-01-01T00:00:00.000Z\n")
        self.sandbox.put(f"/_sandbox/mparticle/segments/{SOURCE}", params={"file": str(path)})
        obstore.put(self._bucket(), OBJECT, path)
        return path.stat().st_size

    def _bucket(self) -> S3Store:
        return S3Store(
            BUCKET,
            endpoint=self.s3,
            region="us-east-1",
            access_key_id="bench",
            secret_access_key="bench",
            virtual_hosted_style_request=False,
            client_options={"allow_http": True, "timeout": "120s"},
        )

    def members(self) -> dict[str, int]:
        """Who is in the segment, and until when."""
        found = {}
        with self.sandbox.stream("GET", "/_sandbox/segments/id/7") as answer:
            for line in answer.iter_lines():
                member = json.loads(line)
                found[member["user"][2]] = member["expires_ms"]
        return found

    def uploads(self) -> list[dict]:
        """Every execution, by the sandbox's own count."""
        return self.sandbox.get("/_sandbox/imports/executions").json()

    def config(self, state: Path) -> Path:
        """A settings file for a relay."""
        url = str(self.sandbox.base_url)
        path = state.with_suffix(".yaml")
        path.write_text(
            json.dumps(
                {
                    "tracking": {"base_url": url, "datamart_id": "1234", "api_token": TOKEN},
                    "segments": {
                        "state_dir": str(state),
                        "mparticle": {
                            "base_url": url, "api_key": "k", "access_token": "s", "poll_s": 0.1,
                        },
                        "s3": {
                            "endpoint": self.s3, "access_key_id": "a", "secret_access_key": "b",
                        },
                        "imports": {"poll_s": 0.2, "poll_s_max": 0.5, "adoption_s": 2},
                        "syncs": [
                            {
                                "name": "bench",
                                "mparticle_segment_id": SOURCE,
                                "segment_id": "7",
                                "compartment_id": "1000",
                                "id_column": "mpid",
                            }
                        ],
                    },
                }
            )
        )  # fmt: skip
        return path


def sync(config: Path, kill_after_s: float = float("inf"), code: Path | None = None) -> Ended:
    """Run one sync as a process; end it by SIGKILL if it still runs after so many seconds.

    `code` is the directory of another checkout, whose relay runs then.
    """
    command = [sys.executable, "-m", "relay", "segments", "sync", "--json", "--config", str(config)]
    began, cpu_before = time.perf_counter(), _children_cpu_s()
    with tempfile.TemporaryFile("w+") as out, tempfile.TemporaryFile("w+") as err:
        process = subprocess.Popen(command, stdout=out, stderr=err, cwd=code)
        peak_kb = 0
        while process.poll() is None:
            # Not `ru_maxrss`: Linux counts into it what the parent weighed when it began the child.
            peak_kb = max(peak_kb, _peak_kb(process.pid))
            left_s = kill_after_s - (time.perf_counter() - began)
            if left_s <= 0:
                process.send_signal(signal.SIGKILL)
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(max(0.0, min(0.02, left_s)))
        seconds, cpu_s = time.perf_counter() - began, _children_cpu_s() - cpu_before
        out.seek(0)
        err.seek(0)
        return Ended(process.returncode, seconds, cpu_s, peak_kb / 1024, out.read(), err.read())


def _children_cpu_s() -> float:
    """What all child processes used that have ended."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def _peak_kb(pid: int) -> int:
    """The most that a process has held in memory so far."""
    with contextlib.suppress(OSError):
        for line in Path(f"/proc/{pid}/status").read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1])
    return 0


def people(count: int, seed: int) -> list[str]:
    """So many different 64-bit ids."""
    rng = random.Random(seed)
    found: dict[str, None] = {}
    while len(found) < count:
        found[str(rng.randrange(-(2**63), 2**63))] = None
    return list(found)


@contextlib.contextmanager
def stage() -> Iterator[Stage]:
    """Start the vendors, and end them."""
    with tempfile.TemporaryDirectory(prefix="relay-bench-") as directory:
        sandbox = _started([sys.executable, "-m", "relay", "sandbox", "--port", "0", "--json",
                            "--token", TOKEN])  # fmt: skip
        s3 = _started([sys.executable, "-c", S3])
        try:
            url = json.loads(sandbox.stdout.readline())["url"]
            endpoint = s3.stdout.readline().strip()
            httpx.put(f"{endpoint}/{BUCKET}").raise_for_status()
            headers = {"Authorization": TOKEN}
            with httpx.Client(base_url=url, headers=headers, timeout=120) as client:
                yield Stage(client, endpoint, Path(directory))
        finally:
            for process in (sandbox, s3):
                process.terminate()
                process.wait(10)


def _started(command: list[str]) -> subprocess.Popen:
    return subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stdin=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
