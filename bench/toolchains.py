"""What the contenders are started with: binaries from Go, and an environment for those in Python.

Both are made when they are first asked for and kept in .cache/bench. The peers in Python have an
environment of their own, so that nothing of theirs can change what relay uses, and nothing of
relay's what they use.
"""

import re
import shutil
import subprocess
import venv
from pathlib import Path

from bench.machine import CACHE, ROOT, BenchError

PEERS = CACHE / "peers"
PEERS_REQUIREMENTS = ROOT / "bench" / "requirements-peers.txt"
BENTHOS = ROOT / "bench" / "peers" / "benthos"


def go_binary(source: Path, name: str) -> Path:
    """The program of a folder; built when one of its files is newer than the binary."""
    binary = CACHE / name
    sources = [*source.glob("*.go"), *source.glob("go.*")]
    if binary.exists() and all(binary.stat().st_mtime > s.stat().st_mtime for s in sources):
        return binary
    if shutil.which("go") is None:
        raise BenchError(f"the {name} is built with Go, and there is no `go` on the path")
    CACHE.mkdir(parents=True, exist_ok=True)
    print(f"==> building the {name}", flush=True)
    command = ["go", "build", "-trimpath", "-o", str(binary), "."]
    done = subprocess.run(command, cwd=source, check=False, capture_output=True, text=True)
    if done.returncode != 0:
        raise BenchError(f"the {name} does not build: {done.stderr.strip()}")
    return binary


def benthos_core() -> Path:
    """The pipelines of bench/peers/benthos run in this; the first build takes some minutes."""
    return go_binary(BENTHOS, "benthos-core")


def peers_python() -> Path:
    """The interpreter of the peers' environment."""
    python = PEERS / "bin" / "python"
    made = PEERS / "made-from.txt"
    wanted = PEERS_REQUIREMENTS.read_text()
    if not made.exists() or made.read_text() != wanted:
        venv.create(PEERS, with_pip=True, clear=True)
        install = [str(python), "-m", "pip", "install", "--quiet", "-r", str(PEERS_REQUIREMENTS)]
        if subprocess.run(install, check=False).returncode != 0:
            raise BenchError(f"the peers could not be installed from {PEERS_REQUIREMENTS.name}")
        made.write_text(wanted)
    return python


def peer_versions() -> str:
    """Their versions, as pinned."""
    lines = PEERS_REQUIREMENTS.read_text().splitlines()
    pins = [line.replace("==", " ") for line in lines if line and not line.startswith("#")]
    direct = re.findall(r"^\t\S*/(benthos|franz-go)\S* v(\S+)$", _go_mod(), re.MULTILINE)
    return ", ".join(pins + [f"{name} {version}" for name, version in direct])


def _go_mod() -> str:
    return (BENTHOS / "go.mod").read_text()
