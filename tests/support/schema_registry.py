"""A real schema registry for the tests: Apicurio from Maven Central, on Java, killed at the end.

    with SchemaRegistry() as registry:
        registry.url            # Confluent's API
        registry.stop(); registry.start()      # with the same schemas and the same port

Downloaded once; Maven keeps it in ~/.m2, unpacked it lies beside the Kafka of the tests.
"""

import contextlib
import shutil
import signal
import subprocess
import tarfile
import tempfile
import urllib.error
import urllib.request
from pathlib import Path
from typing import Self

from tests.support import kafka_jars
from tests.support.kafka_admin import NoKafka, wait_for
from tests.support.kafka_cluster import free_port
from tests.support.reaper import Reaper

VERSION = "2.6.13.Final"
_ARTIFACT = f"io.apicurio:apicurio-registry-app:{VERSION}:tar.gz:all"
_JAR = f"apicurio-registry-app-{VERSION}-runner.jar"
_START_S = 90.0


class NoRegistry(Exception):
    """There is no schema registry to test with, and why."""


class SchemaRegistry:
    """One registry on loopback, with its schemas in a file of its own."""

    def __init__(self) -> None:
        self._home = Path(tempfile.mkdtemp(prefix="relay-registry-"))
        self._port = 0
        self._process: subprocess.Popen[bytes] | None = None
        self._reaper: Reaper

    @property
    def url(self) -> str:
        """Where Confluent's API is."""
        return f"http://127.0.0.1:{self._port}/apis/ccompat/v7"

    def __enter__(self) -> Self:
        self._reaper = Reaper(self._home)
        try:
            self._port = free_port()
            self.start()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()
        self._reaper.close()

    def start(self) -> None:
        """Start it, and wait until it answers."""
        assert self._process is None, "it runs already"
        log = self._home / "registry.log"
        with log.open("ab") as out:
            self._process = subprocess.Popen(
                [
                    *(_java(), "-Xmx256m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1"),
                    f"-Djava.io.tmpdir={self._home}",
                    "-Dquarkus.http.host=127.0.0.1",
                    f"-Dquarkus.http.port={self._port}",
                    "-Dregistry.ccompat.legacy-id-mode.enabled=true",
                    f"-Dquarkus.datasource.jdbc.url=jdbc:h2:file:{self._home}/schemas",
                    *("-jar", str(_unpacked() / _JAR)),
                ],
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        self._reaper.began(self._process)
        process = self._process

        def started() -> bool:
            if process.poll() is not None:
                raise NoRegistry(f"it did not start:\n{log.read_text(errors='replace')[-4000:]}")
            with contextlib.suppress(urllib.error.URLError, OSError):
                urllib.request.urlopen(f"{self.url}/subjects", timeout=2).close()
                return True
            return False

        wait_for(started, _START_S, f"the registry did not start in {_START_S:.0f} s")

    def stop(self) -> None:
        """End it; what it holds stays for the next start."""
        if self._process is None:
            return
        process, self._process = self._process, None
        self._reaper.end(process, signal.SIGTERM)


def _java() -> str:
    try:
        return kafka_jars.java()
    except NoKafka as why:
        raise NoRegistry(str(why)) from None


def _unpacked() -> Path:
    home = kafka_jars.cache_home() / f"apicurio-{VERSION}"
    if not (home / "complete").exists():
        _download(home)
    return home


def _download(home: Path) -> None:
    maven = shutil.which("mvn")
    if maven is None:
        raise NoRegistry("no mvn found to download Apicurio with")
    home.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=home.parent) as work:
        done = subprocess.run(
            [
                *(maven, "-q", "-B", "org.apache.maven.plugins:maven-dependency-plugin:3.6.1:copy"),
                *(f"-Dartifact={_ARTIFACT}", f"-DoutputDirectory={work}"),
            ],
            cwd=work,  # no project of ours is looked at
            capture_output=True,
            text=True,
            timeout=600,
            check=False,
        )
        archives = list(Path(work).glob("*.tar.gz"))
        if done.returncode != 0 or not archives:
            problem = (done.stdout + done.stderr).strip().splitlines()
            raise NoRegistry(f"mvn could not download Apicurio: {problem[:1]}")
        unpacked = Path(work, "unpacked")
        with tarfile.open(archives[0]) as archive:
            archive.extractall(unpacked, filter="data")
        Path(unpacked, "complete").touch()
        try:
            unpacked.rename(home)
        except OSError:
            if not (home / "complete").exists():
                raise
