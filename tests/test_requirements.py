"""requirements/*.txt: complete, hashed, of one mind, and without an address."""

import re
import tomllib
from importlib.metadata import distribution

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from scripts.generate import ROOT

FOLDER = ROOT / "requirements"
FILES = sorted(path.name for path in FOLDER.glob("*.txt"))
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
EXTRAS = {"production.txt": "image", "demo.txt": "demo", "development.txt": "dev"}
GROUPS = {"build.txt": "build", "sbom.txt": "sbom", "chart.txt": "chart", "helm.txt": "helm"}
LINUX = [
    {"sys_platform": "linux", "platform_python_implementation": "CPython",
     "implementation_name": "cpython", "platform_system": "Linux", "os_name": "posix",
     "platform_machine": machine, "python_version": minor, "python_full_version": f"{minor}.4"}
    for machine in ("x86_64", "aarch64")
    for minor in ("3.11", "3.12", "3.13")
]  # fmt: skip


def pins(name: str) -> dict[str, tuple[str, frozenset[str]]]:
    """What a file pins: version and hashes, by name."""
    text = (FOLDER / name).read_text(encoding="utf-8").replace("\\\n", " ")
    found = {}
    for line in text.splitlines():
        match = re.fullmatch(
            r"([a-z0-9-]+)==(\S+)( ; .*?)?((?: +--hash=sha256:[0-9a-f]{64})+)", line
        )
        assert match, f"{name}: not a pin with hashes: {line[:80]}"
        found[match[1]] = (match[2], frozenset(match[4].split()))
    return found


def wanted(extra: str) -> list[Requirement]:
    """What pyproject.toml asks for with an extra, extras of extras included."""
    project = PROJECT["project"]
    found = [Requirement(line) for line in project["dependencies"]]
    for line in project["optional-dependencies"][extra]:
        requirement = Requirement(line)
        if requirement.name == project["name"]:
            found += [r for inner in requirement.extras for r in wanted(inner)]
        else:
            found.append(requirement)
    return found


@pytest.mark.parametrize("name", FILES)
def test_every_line_has_hashes_and_none_an_address(name):
    assert pins(name)
    assert "://" not in (FOLDER / name).read_text(encoding="utf-8")


def test_no_two_files_differ_about_a_release():
    together = {}
    for name in FILES:
        for package, pinned in pins(name).items():
            assert together.setdefault(package, pinned) == pinned, (name, package)


@pytest.mark.parametrize("name", FILES)
def test_what_the_project_asks_for_is_pinned_to_a_version_that_it_takes(name):
    if name in EXTRAS:
        asked = wanted(EXTRAS[name])
    else:
        asked = [Requirement(line) for line in PROJECT["dependency-groups"][GROUPS[name]]]
    found = pins(name)
    for requirement in asked:
        version, _ = found[canonicalize_name(requirement.name)]
        assert requirement.specifier.contains(version), requirement


@pytest.mark.parametrize("name", EXTRAS)
def test_what_the_packages_need_is_pinned_too(name):
    """On every machine that the image is made for; as the packages themselves say it."""
    found = pins(name)
    seen: set[tuple[str, str]] = set()
    todo = [
        (canonicalize_name(r.name), extra)
        for r in wanted(EXTRAS[name])
        for extra in ("", *r.extras)
    ]
    while todo:
        package, extra = todo.pop()
        if (package, extra) in seen:
            continue
        seen.add((package, extra))
        for line in distribution(package).requires or []:
            needed = Requirement(line)
            machines = [{**machine, "extra": extra} for machine in LINUX]
            if needed.marker and not any(needed.marker.evaluate(dict(m)) for m in machines):
                continue
            version, _ = found[canonicalize_name(needed.name)]
            assert needed.specifier.contains(version), (package, line)
            todo += [(canonicalize_name(needed.name), inner) for inner in ("", *needed.extras)]


def test_production_has_nothing_of_development():
    only_for_tests = {
        "pytest",
        "mypy",
        "ruff",
        "hypothesis",
        "moto",
        "confluent-kafka",
        "uv",
        "pip",
    }
    assert not only_for_tests & pins("production.txt").keys()


def test_the_package_is_built_with_what_it_says_it_is_built_with():
    assert PROJECT["dependency-groups"]["build"] == PROJECT["build-system"]["requires"]
