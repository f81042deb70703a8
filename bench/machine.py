"""What a measurement has to say about where it was made, and where its files go."""

import datetime as dt
import os
import platform
from importlib.metadata import version
from pathlib import Path

ROOT = Path(__file__).parent.parent
CACHE = ROOT / ".cache" / "bench"


class BenchError(Exception):
    """A measurement cannot be made here; one line says why."""


def described(*packages: str) -> str:
    """The machine, the date and the versions: one line."""
    model = "unknown processor"
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            model = line.split(":", 1)[1].strip()
            break
    today = dt.datetime.now(dt.UTC).date()  # noqa: TID251 - a report has a date
    versions = ", ".join(f"{name} {version(name)}" for name in packages)
    return (
        f"{today}, {os.cpu_count()} cores of {model}, Linux {platform.release().split('-')[0]}, "
        f"Python {platform.python_version()}" + (f", {versions}" if versions else "")
    )


def cpu_seconds(pid: int) -> float:
    """CPU that a running process has used, all its threads together."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def resident_peak_mb(pid: int) -> float:
    """The most memory that a running process has had resident."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) / 1024
    return 0.0  # it has ended and nobody has asked for its status yet
