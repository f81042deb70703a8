"""What the documents name exists, under that name."""

import json
import re
from itertools import pairwise

import jsonschema
import pytest
import yaml

from relay.errors import ExitStatus
from relay.schemas import SCHEMAS
from relay.settings import Settings, load
from relay.settings.editor_schemas import EDITOR_SCHEMAS
from relay.settings.options import options
from scripts.every_fact import every_fact
from scripts.generate import ROOT
from scripts.metrics_docs import described

RUNBOOK = (ROOT / "docs/RUNBOOK.md").read_text(encoding="utf-8")
OPERATIONS = (ROOT / "docs/OPERATIONS.md").read_text(encoding="utf-8")
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")])
ALERTS = [
    rule
    for group in yaml.safe_load((ROOT / "deploy/alerts.yaml").read_text(encoding="utf-8"))["groups"]
    for rule in group["rules"]
]
SERIES = {series for metric in described() for series in metric.series()}
# What Python's client library adds.
FOREIGN = {"process_cpu_seconds_total", "process_resident_memory_bytes"}


def metrics_in(text: str) -> set[str]:
    return set(re.findall(r"\b(?:relay|process)_[a-z_]+[a-z]\b", text))


def test_the_exit_statuses_of_the_page_on_operations_are_those_of_the_code():
    rows = re.findall(r"^\| (\d+) \| ([A-Z_]+) \|", OPERATIONS, re.MULTILINE)
    assert [(int(status), name) for status, name in rows] == [(s.value, s.name) for s in ExitStatus]


def test_every_alert_has_its_section_in_the_runbook_and_the_other_way_round():
    sections = re.findall(r"^### (\w+)$", RUNBOOK, re.MULTILINE)
    assert sections == [rule["alert"] for rule in ALERTS]


@pytest.mark.parametrize("rule", ALERTS, ids=lambda rule: rule["alert"])
def test_an_alert_asks_for_metrics_that_exist_and_says_what_and_where(rule):
    assert metrics_in(rule["expr"])
    assert metrics_in(rule["expr"]) <= SERIES
    assert rule["labels"]["severity"] in {"critical", "warning"}
    assert rule["annotations"]["summary"].endswith(".")
    assert rule["annotations"]["runbook_url"] == f"docs/RUNBOOK.md#{rule['alert'].lower()}"


@pytest.mark.parametrize("name", ["deploy/dashboard.json", "docs/RUNBOOK.md", "docs/OPERATIONS.md"])
def test_metrics_that_are_named_exist(name):
    named = metrics_in((ROOT / name).read_text(encoding="utf-8"))
    assert named
    assert named <= SERIES | FOREIGN


def test_facts_that_the_runbook_looks_for_exist():
    named = set(re.findall(r"log(?:'s| has| says) `(\w+)`", RUNBOOK + OPERATIONS))
    assert len(named) > 3
    assert named <= {fact.name() for fact in every_fact()}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_settings_that_a_page_names_exist(page):
    sections = "|".join(Settings.model_fields)
    named = re.findall(rf"`((?:{sections})\.[a-z_.]+)`", page.read_text(encoding="utf-8"))
    known = {option.name for option in options(Settings)}
    # `http.request.…` are attributes of OpenTelemetry's spans.
    other = (".py", ".", "http.request.resend_count")
    assert {name for name in named if not name.endswith(other)} <= known


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_variables_that_a_page_names_exist(page):
    named = set(re.findall(r"\bRELAY_[A-Z_]*[A-Z]\b", page.read_text(encoding="utf-8")))
    known = {option.variable for option in options(Settings)} | {"RELAY_TEST_KAFKA"}
    assert named <= known


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_within_the_repository_lead_somewhere(page):
    for target, anchor in re.findall(r"\]\(([^)#:]*)(?:#([\w-]+))?\)", page.read_text("utf-8")):
        found = page.parent / target if target else page
        assert found.exists(), target
        if anchor:
            titles = re.findall(r"^#+ (.+)$", found.read_text("utf-8"), re.MULTILINE)
            assert anchor in {re.sub(r"[^\w -]", "", t.lower()).replace(" ", "-") for t in titles}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_a_page_that_somebody_wrote_has_under_200_lines(page):
    text = page.read_text(encoding="utf-8")
    assert len(text.splitlines()) < 200 or "by `make docs`" in text[:300]


def test_the_glossary_is_short_and_in_order():
    text = (ROOT / "docs/GLOSSARY.md").read_text(encoding="utf-8")
    words = re.findall(r"^\| ([a-z ]+) \|", text, re.MULTILINE)[1:]
    assert 20 < len(words) <= 40
    assert all(before < after for before, after in pairwise(words))


WORDS = r"\b(?:fate|frontier|lane|lateness|ledger|offset map|verdict)s?\b"


@pytest.mark.parametrize("page", sorted((ROOT / "docs").glob("*.md")), ids=lambda page: page.name)
def test_a_page_with_words_of_its_own_leads_to_the_glossary(page):
    text = re.sub(r"```.*?```|`[^`]*`", "", page.read_text(encoding="utf-8"), flags=re.DOTALL)
    assert "](GLOSSARY.md)" in text or page.name == "GLOSSARY.md" or not re.search(WORDS, text)


def test_the_changelog_begins_with_what_changes_delivery():
    text = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    for release in text.split("\n## ")[1:]:
        assert re.findall(r"^### (.+)$", release, re.MULTILINE)[0] == "Delivery semantics"


def test_the_settings_that_the_page_on_segments_shows_make_a_sync_and_fit_the_chart(tmp_path):
    text = "".join(
        (ROOT / "docs" / page).read_text(encoding="utf-8")
        for page in ("SEGMENTS.md", "SEGMENTS_OPERATION.md")
    )
    settings, values = (
        yaml.safe_load(block) for block in re.findall(r"```yaml\n(.*?)```", text, re.DOTALL)
    )
    secret = tmp_path / "secret"
    secret.write_text("s3cret")
    for part in (settings["tracking"], settings["segments"]["mparticle"]):
        part.update({name: str(secret) for name in part if name.endswith("_file")})
    (tmp_path / "relay.yaml").write_text(yaml.safe_dump(settings))
    found = load(tmp_path / "relay.yaml", {}, needs=["segments", "tracking", "identity"])
    assert found.segments.sync_policy(None, found.identity).name == "churn"
    assert found.segments.mparticle_credentials() == ("s3cret", "s3cret")
    schema = json.loads((ROOT / "deploy/helm/relay/values.schema.json").read_text(encoding="utf-8"))
    defaults = yaml.safe_load((ROOT / "deploy/helm/relay/values.yaml").read_text(encoding="utf-8"))
    jsonschema.validate(defaults | values | {"image": {"repository": "relay"}}, schema)
    known = {option.variable for option in options(Settings)}
    assert {file["variable"] for file in values["secret"]["files"]} <= known
    syncs = {sync["name"] for sync in values["settings"]["segments"]["syncs"]}
    assert {schedule["sync"] for schedule in values["segments"]["schedules"]} == syncs


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_schemas_that_a_page_prints_exist(page):
    named = re.findall(r"relay schema ([a-z][\w.-]*)", page.read_text(encoding="utf-8"))
    assert set(named) <= {*SCHEMAS, *EDITOR_SCHEMAS}
