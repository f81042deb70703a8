"""Building and running an image with what is there: docker, podman, or buildah alone."""

import json
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol

from scripts.generate import ROOT

IMAGE = "localhost/relay:check"
MISSING = (
    "image-check needs a builder of container images, and found none that works: install docker,"
    " podman, or (as root, without an engine) buildah: apt-get install --no-install-recommends"
    " buildah crun"
)


class NoEngine(Exception):
    """Nothing on this machine builds images; the text says what to install."""


class Engine(Protocol):
    """What image-check asks of a container engine."""

    name: str

    def build(self, options: Sequence[str]) -> None:
        """Build deploy/Dockerfile as IMAGE; raises CalledProcessError."""

    def command(
        self, program: Sequence[str], environ: Mapping[str, str], *, tmpfs: bool
    ) -> list[str]:
        """The command that runs `program` in the image as its user, on a read-only root.

        With `tmpfs`, /tmp can be written to. The network is this machine's. SIGTERM sent to this
        command reaches the program.
        """

    def size(self) -> int:
        """Bytes of the image, unpacked."""


class Docker:
    """docker, or podman, which takes the same options."""

    def __init__(self, name: str) -> None:
        self.name = name

    def build(self, options: Sequence[str]) -> None:
        """See Engine."""
        _run(self.name, "build", *options, "-f", "deploy/Dockerfile", "-t", IMAGE, ".")

    def command(
        self, program: Sequence[str], environ: Mapping[str, str], *, tmpfs: bool
    ) -> list[str]:
        """See Engine."""
        return [
            *(self.name, "run", "--rm", "--network", "host", "--read-only", "--cap-drop", "ALL"),
            *(("--read-only-tmpfs=false",) if self.name == "podman" else ()),
            *(("--tmpfs", "/tmp") if tmpfs else ()),  # noqa: S108 - a path in the container
            *(part for key, value in environ.items() for part in ("--env", f"{key}={value}")),
            *("--entrypoint", program[0], IMAGE, *program[1:]),
        ]

    def size(self) -> int:
        """See Engine."""
        return int(_output(self.name, "image", "inspect", "--format", "{{.Size}}", IMAGE))


_IN_THE_ROOT = """
set -e
mkdir -p "$ROOT$WORKDIR"
mount --bind "$ROOT" "$ROOT"
cd "$ROOT"
mount --rbind /dev dev
mount -t proc proc proc
for file in etc/hosts etc/resolv.conf; do
  [ ! -f "$file" ] || mount --bind "/$file" "$file"
done
mount -o remount,ro,bind "$ROOT"
[ -z "$TMPFS" ] || mount -t tmpfs -o mode=1777 tmpfs tmp
exec chroot --userspec="$USERSPEC" . /usr/bin/env -i "$@"
"""
"""Run in a mount namespace of its own. `exec` all the way, so that a signal reaches the program."""


class Buildah:
    """buildah builds; what it has built runs in a chroot with mounts of its own. Needs root."""

    name = "buildah"

    def __init__(self, root: Path) -> None:
        self._root = root

    def build(self, options: Sequence[str]) -> None:
        """See Engine. Leaves the image's files mounted at a fixed place."""
        how = ("--layers", "--isolation", "chroot", "--network", "host", "--format", "docker")
        _run("buildah", "bud", *how, *options, "-f", "deploy/Dockerfile", "-t", IMAGE, ".")
        container = _output("buildah", "from", "--name", "relay-check", IMAGE)
        self._root.symlink_to(_output("buildah", "mount", container))

    def command(
        self, program: Sequence[str], environ: Mapping[str, str], *, tmpfs: bool
    ) -> list[str]:
        """See Engine."""
        config = json.loads(_output("buildah", "inspect", "--type", "image", IMAGE))["OCIv1"][
            "config"
        ]
        variables = [*config["Env"], *(f"{key}={value}" for key, value in environ.items())]
        mine = {
            "ROOT": str(self._root.resolve()),
            "TMPFS": "1" if tmpfs else "",
            "USERSPEC": config["User"],
            "WORKDIR": config["WorkingDir"],
        }
        return [
            *("env", *(f"{key}={value}" for key, value in mine.items())),
            *("unshare", "--mount", "sh", "-c", _IN_THE_ROOT, "sh"),
            *(f"--chdir={config['WorkingDir']}", *variables, *program),
        ]

    def size(self) -> int:
        """See Engine."""
        return int(_output("du", "-s", "-B1", f"{self._root.resolve()}").split()[0])


@contextmanager
def engine() -> Iterator[Engine]:
    """The first that works; what it made is removed in the end, the image stays."""
    for name in ("docker", "podman"):
        if shutil.which(name) and _works(name, "info"):
            yield Docker(name)
            return
    if not (shutil.which("buildah") and os.geteuid() == 0 and _works("buildah", "images")):
        raise NoEngine(MISSING)
    with tempfile.TemporaryDirectory(prefix="relay-image-") as folder:
        try:
            yield Buildah(Path(folder) / "root")
        finally:
            _works("buildah", "rm", "relay-check")


@contextmanager
def build_options(base: str | None, *, demo: bool) -> Iterator[list[str]]:
    """Options of a build: the base, and how pip reaches packages where PIP_CERT says it."""
    options = [] if base is None else ["--build-arg", f"BASE={base}"]
    if demo:
        options += ["--build-arg", "WITH_DEMO=1"]
    authorities = os.environ.get("PIP_CERT")  # noqa: TID251 - pip's variable, not ours
    if authorities is None:
        yield options
        return
    with tempfile.NamedTemporaryFile("w", prefix="pip-", suffix=".conf") as conf:
        conf.write("[global]\ncert = /run/secrets/ca\n")
        conf.flush()
        secrets = [f"id=pip,src={conf.name}", f"id=ca,src={authorities}"]
        yield [*options, *(part for secret in secrets for part in ("--secret", secret))]


def _works(*command: str) -> bool:
    return subprocess.run(command, capture_output=True, check=False).returncode == 0  # noqa: S603


def _run(*command: str) -> None:
    subprocess.run(command, cwd=ROOT, check=True)  # noqa: S603 - our own arguments


def _output(*command: str) -> str:
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)  # noqa: S603
    return done.stdout.strip()
