"""Apache Kafka from Maven Central into the user's cache; the class path goes to kafka_cluster.

Downloaded once per version and shared by every checkout. Two test runs that start at the same
moment both download, and the first that is complete wins.
"""

import os
import re
import shutil
import subprocess
import tempfile
from pathlib import Path

from tests.support.kafka_admin import NoKafka

KAFKA_VERSION = "4.1.0"
JAVA_MIN = 17

_DEPENDENCIES = (
    ("org.apache.kafka", "kafka_2.13", KAFKA_VERSION),
    # Kafka logs through slf4j and leaves the choice of a backend to whoever starts it; without
    # one a broker that refuses to start would not say why.
    ("org.apache.logging.log4j", "log4j-slf4j-impl", "2.24.3"),
)


def java() -> str:
    """The Java to run brokers with: JAVA_HOME's, else the one on the PATH."""
    home = os.environ.get("JAVA_HOME")  # noqa: TID251 - the test harness is not the relay
    found = shutil.which("java", path=f"{home}/bin" if home else None) or shutil.which("java")
    if found is None:
        raise NoKafka(f"no java found; Apache Kafka {KAFKA_VERSION} needs Java {JAVA_MIN}+")
    banner = subprocess.run([found, "-version"], capture_output=True, text=True, check=False).stderr
    version = re.search(r'version "(\d+)', banner)
    if version is None or int(version[1]) < JAVA_MIN:
        raise NoKafka(f"{found} is not Java {JAVA_MIN}+")
    return found


def class_path() -> str:
    """The class path of Apache Kafka, downloaded by Maven when it is not cached yet."""
    home = cache_home() / f"kafka-{KAFKA_VERSION}"
    if not (home / "complete").exists():
        _download(home)
    return f"{home}/*"


def cache_home() -> Path:
    configured = os.environ.get("XDG_CACHE_HOME")  # noqa: TID251 - the test harness, as above
    return Path(configured or Path.home() / ".cache") / "mics-relay-tests"


def _download(home: Path) -> None:
    maven = shutil.which("mvn")
    if maven is None:
        raise NoKafka("no mvn found to download Apache Kafka with")
    home.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=home.parent) as work:
        pom, jars = Path(work, "pom.xml"), Path(work, "jars")
        pom.write_text(_pom())
        done = subprocess.run(
            [
                *(maven, "-q", "-B", "-f", str(pom), "dependency:copy-dependencies"),
                *(f"-DoutputDirectory={jars}", "-DincludeScope=runtime"),
            ],
            capture_output=True,
            text=True,
            timeout=600,
            check=False,
        )
        if done.returncode != 0:
            problem = (done.stdout + done.stderr).strip().splitlines()
            raise NoKafka(f"mvn could not download Apache Kafka: {problem[:1]}")
        Path(jars, "complete").touch()
        try:
            jars.rename(home)
        except OSError:
            if not (home / "complete").exists():
                raise


def _pom() -> str:
    dependencies = "".join(
        f"<dependency><groupId>{group}</groupId><artifactId>{artifact}</artifactId>"
        f"<version>{version}</version></dependency>"
        for group, artifact, version in _DEPENDENCIES
    )
    return (
        '<project xmlns="http://maven.apache.org/POM/4.0.0"><modelVersion>4.0.0</modelVersion>'
        "<groupId>relay</groupId><artifactId>test-kafka</artifactId><version>1</version>"
        f"<dependencies>{dependencies}</dependencies></project>"
    )
