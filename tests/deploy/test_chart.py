"""The Helm chart, as far as it can be tried without Helm (and with it, where it is installed)."""

import re
import shutil
import subprocess

import jsonschema
import pytest
import yaml

from relay import __version__
from relay.settings import load
from relay.settings.segments import SyncSettings
from scripts.generate import ROOT
from tests.support.commands import parsed

CHART = ROOT / "deploy/helm/relay"
VALUES = yaml.safe_load((CHART / "values.yaml").read_text(encoding="utf-8"))
SCHEMA = yaml.safe_load((CHART / "values.schema.json").read_text(encoding="utf-8"))
DEPLOYMENT = (CHART / "templates/deployment.yaml").read_text(encoding="utf-8")
SEGMENTS = (CHART / "templates/segments.yaml").read_text(encoding="utf-8")


def test_the_values_fit_their_schema():
    jsonschema.validate(VALUES, SCHEMA)


def test_a_misspelt_value_is_refused():
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate({**VALUES, "replica": 3}, SCHEMA)


def test_the_settings_of_the_values_are_settings_of_relay(tmp_path):
    """Only the datamart is left to be filled in."""
    settings = {**VALUES["settings"], "tracking": {"datamart_id": "1234"}}
    (tmp_path / "relay.yaml").write_text(yaml.safe_dump(settings))
    (tmp_path / "token").write_text("t")
    (file,) = VALUES["secret"]["files"]
    variables = {file["variable"]: str(tmp_path / "token"), "RELAY_ADMIN__HOST": "0.0.0.0"}
    assert load(tmp_path / "relay.yaml", variables).kafka.group_id == "relay"


def test_the_command_is_one_that_relay_takes():
    (arguments,) = re.findall(r"args: (\[.*\])", DEPLOYMENT)
    assert parsed(yaml.safe_load(arguments)) == "run"
    notes = (CHART / "templates/NOTES.txt").read_text(encoding="utf-8")
    (check,) = re.findall(r"-- relay (.+)", notes)
    assert parsed(check.split()) == "check"


def test_the_schedules_run_a_sync_that_keeps_its_state_and_can_be_named(tmp_path, monkeypatch):
    (arguments,) = re.findall(r"args: (\[.*\])", SEGMENTS)
    command = yaml.safe_load(arguments.replace("{{ .sync | quote }}", '"churn"'))
    assert parsed(command) == "segments"
    monkeypatch.chdir(tmp_path)
    (variable,) = re.findall(r"name: (RELAY_SEGMENTS_\w+), value: /var/lib/relay/", SEGMENTS)
    found = load(None, {variable: "/var/lib/relay/segments"}, needs=["segments"])
    assert str(found.segments.state_dir) == "/var/lib/relay/segments"
    schedule = SCHEMA["properties"]["segments"]["properties"]["schedules"]["items"]
    (pattern,) = (m.pattern for m in SyncSettings.model_fields["name"].metadata)
    assert schedule["properties"]["sync"]["pattern"] == pattern


def test_the_drain_that_the_chart_assumes_is_the_default_of_the_settings(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    helpers = (CHART / "templates/_helpers.tpl").read_text(encoding="utf-8")
    (assumed,) = re.findall(r'dig "delivery" "stop_deadline_s" (\d+)', helpers)
    default = load(None, {}, needs=["delivery"]).delivery.stop_deadline_s
    assert float(assumed) == default
    assert VALUES["terminationGracePeriodSeconds"] > default + 5


def test_the_port_that_the_chart_assumes_is_the_default_of_the_settings(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    helpers = (CHART / "templates/_helpers.tpl").read_text(encoding="utf-8")
    (assumed,) = re.findall(r'dig "admin" "port" (\d+)', helpers)
    assert int(assumed) == load(None, {}, needs=["admin"]).admin.port


def test_each_pod_of_a_stateful_set_is_a_member_with_the_name_of_its_host(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("socket.gethostname", lambda: "relay-1")
    (entry,) = re.findall(r"- (\{name: RELAY_KAFKA__GROUP_INSTANCE_ID.*)", DEPLOYMENT)
    variable = yaml.safe_load(entry)
    found = load(None, {variable["name"]: variable["value"]}, needs=["kafka"])
    assert found.kafka.consumer("{topic}.dlq").group_instance_id == "relay-1"
    assert VALUES["staticMembership"] is False


def test_versions_agree():
    chart = yaml.safe_load((CHART / "Chart.yaml").read_text(encoding="utf-8"))
    assert chart["appVersion"] == __version__


@pytest.mark.skipif(shutil.which("helm") is None, reason="Helm is not installed")
def test_helm_renders_it_and_refuses_a_drain_that_would_be_cut_short():
    command = ["helm", "template", "r", str(CHART), "--kube-version", "1.31"]
    monitored = ["--set", "alerts.enabled=true,serviceMonitor.enabled=true"]
    run = subprocess.run([*command, *monitored], capture_output=True, text=True, check=True)
    kinds = {document["kind"] for document in yaml.safe_load_all(run.stdout)}
    assert {"Deployment", "ConfigMap", "PodDisruptionBudget", "PrometheusRule"} <= kinds
    static = ["--set", "staticMembership=true"]
    run = subprocess.run([*command, *static], capture_output=True, text=True, check=True)
    kinds = {document["kind"] for document in yaml.safe_load_all(run.stdout)}
    assert "StatefulSet" in kinds
    assert "Deployment" not in kinds
    short = ["--set", "terminationGracePeriodSeconds=20"]
    run = subprocess.run([*command, *short], capture_output=True, text=True, check=False)
    assert "must exceed settings.delivery.stop_deadline_s" in run.stderr


@pytest.mark.skipif(shutil.which("helm") is None, reason="Helm is not installed")
def test_helm_makes_a_cron_job_for_each_schedule_and_refuses_one_without_a_claim(tmp_path):
    syncs = [{"sync": "churn", "schedule": "17 * * * *"}, {"sync": "v" * 40, "schedule": "@daily"}]
    values = tmp_path / "values.yaml"
    command = ["helm", "template", "r", str(CHART), "--kube-version", "1.31", "-f", str(values)]
    values.write_text(yaml.safe_dump({"segments": {"schedules": syncs, "existingClaim": "c"}}))
    run = subprocess.run(command, capture_output=True, text=True, check=True)
    jobs = [d for d in yaml.safe_load_all(run.stdout) if d["kind"] == "CronJob"]
    assert [job["spec"]["schedule"] for job in jobs] == ["17 * * * *", "@daily"]
    assert all(len(job["metadata"]["name"]) <= 52 for job in jobs)
    deployment = next(d for d in yaml.safe_load_all(run.stdout) if d["kind"] == "Deployment")
    chosen = deployment["spec"]["selector"]["matchLabels"]
    labels = jobs[0]["spec"]["jobTemplate"]["spec"]["template"]["metadata"]["labels"]
    assert not chosen.items() <= labels.items()
    values.write_text(yaml.safe_dump({"segments": {"schedules": syncs}}))
    run = subprocess.run(command, capture_output=True, text=True, check=False)
    assert "segments.existingClaim" in run.stderr


def test_a_read_only_root_has_a_place_for_files():
    """Membership events are gathered into files while they are uploaded."""
    assert "readOnlyRootFilesystem: true" in DEPLOYMENT
    assert re.search(r"\{name: temporary, mountPath: /tmp\}", DEPLOYMENT)
    assert re.search(r"- name: temporary\n +emptyDir: ", DEPLOYMENT)
    compose = yaml.safe_load((ROOT / "docker-compose.yml").read_text(encoding="utf-8"))
    read_only = [service for service in compose["services"].values() if service.get("read_only")]
    assert read_only
    assert all(service.get("tmpfs") == ["/tmp"] for service in read_only)
