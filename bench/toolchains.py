"""What the contenders are started with: binaries from Go, environments for those in Python.

All are made when they are first asked for and kept in .cache/bench. The peers in Python have
environments of their own, so that nothing of theirs can change what relay uses, and nothing of
relay's what they use.
"""

import re
import shutil
import subprocess
import sys
from pathlib import Path

from bench.machine import CACHE, ROOT, BenchError

REQUIREMENTS = ROOT / "bench" / "requirements-peers.txt"
REQUIREMENTS_312 = ROOT / "bench" / "requirements-peers-312.txt"
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
    return _environment("peers", Path(sys.executable), REQUIREMENTS)


def peers_python_312() -> Path:
    """The interpreter of those peers that need Python 3.12."""
    return _environment("peers-312", later_python(), REQUIREMENTS_312)


def later_python() -> Path:
    """A Python of 3.12 or later: on the path, or one that pyenv keeps."""
    names = ("python3.13", "python3.12", "python3.14")
    found = [Path(path) for name in names if (path := shutil.which(name))]
    if pyenv := shutil.which("pyenv"):
        root = subprocess.run([pyenv, "root"], check=False, capture_output=True, text=True)
        for name in names:
            found += sorted(Path(root.stdout.strip()).glob(f"versions/*/bin/{name}"))
    for python in found:
        # One of pyenv's may be on the path and yet only say that it is not chosen.
        if subprocess.run([python, "-c", ""], check=False, capture_output=True).returncode == 0:
            return python
    raise BenchError("there is no Python 3.12 or later, on the path or with pyenv")


def _environment(name: str, base: Path, requirements: Path) -> Path:
    """The interpreter of an environment; made again when what it is made from has changed."""
    home = CACHE / name
    python = home / "bin" / "python"
    made = home / "made-from.txt"
    wanted = f"{base}\n{requirements.read_text()}"
    if not made.exists() or made.read_text() != wanted:
        make = [str(base), "-m", "venv", "--clear", str(home)]
        install = [str(python), "-m", "pip", "install", "--quiet", "-r", str(requirements)]
        for command in (make, install):
            if subprocess.run(command, check=False).returncode != 0:
                raise BenchError(f"no environment could be made from {requirements.name}")
        made.write_text(wanted)
    return python


def peer_versions() -> str:
    """Their versions, as pinned."""
    lines = REQUIREMENTS.read_text().splitlines() + REQUIREMENTS_312.read_text().splitlines()
    pins = [line.replace("==", " ") for line in lines if line and not line.startswith("#")]
    pins = list(dict.fromkeys(pins))
    direct = re.findall(r"^\t\S*/(benthos|franz-go)\S* v(\S+)$", _go_mod(), re.MULTILINE)
    return ", ".join(pins + [f"{name} {version}" for name, version in direct])


def _go_mod() -> str:
    return (BENTHOS / "go.mod").read_text()
