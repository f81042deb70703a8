"""The Helm chart, as far as it can be tried without Helm, and with it where it is there.

`make chart-check` validates what comes out of it against Kubernetes' schemas and the CRDs.
"""

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
VALUE_SETS = sorted((CHART / "ci").glob("*-values.yaml"))
LEAST = {
    "image": {"repository": "relay"},
    "settings": {
        "kafka": {"bootstrap_servers": "kafka:9092", "topics": ["app-events"]},
        "tracking": {"datamart_id": "1234"},
    },
}
"""What has to be given."""
# `make chart-check` builds one where none is installed.
HELM = shutil.which("helm") or shutil.which("helm", path=str(ROOT / ".cache/tools"))
needs_helm = pytest.mark.skipif(HELM is None, reason="no helm: install it, or make helm")


def helm(folder, *options, **values):
    """`helm template` with the least values and these."""
    assert HELM is not None
    file = folder / "values.yaml"
    file.write_text(yaml.safe_dump({**LEAST, **values}))
    command = [HELM, "template", "r", str(CHART), "--kube-version", "1.31", "-f", str(file)]
    return subprocess.run([*command, *options], capture_output=True, text=True, check=False)


def documents(run):
    """What was rendered, by kind."""
    assert run.returncode == 0, run.stderr
    return {document["kind"]: document for document in yaml.safe_load_all(run.stdout)}


def test_only_the_image_is_missing_for_the_values_to_fit_their_schema():
    jsonschema.validate({**VALUES, "image": {"repository": "relay"}}, SCHEMA)
    with pytest.raises(jsonschema.ValidationError) as missing:
        jsonschema.validate(VALUES, SCHEMA)
    assert list(missing.value.absolute_path) == ["image", "repository"]


@pytest.mark.parametrize(
    "wrong",
    [
        {"replica": 3},
        {"image": {"repository": "relay", "digest": "latest"}},
        {"alerts": {"enabled": True, "runbookUrl": ""}},
        {"alerts": {"enabled": True, "runbookUrl": "docs/RUNBOOK.md"}},
        {"autoscaling": {"enabled": True, "prometheusAddress": ""}},
        {"autoscaling": {"minReplicas": 0}},
        {"podMonitor": {"interval": "soon"}},
        {"extraVolumeMounts": [{"name": "nowhere"}]},
    ],
    ids=lambda wrong: str(wrong)[:60],
)
def test_a_value_that_cannot_be_meant_is_refused(wrong):
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate({**VALUES, "image": {"repository": "relay"}, **wrong}, SCHEMA)


@pytest.mark.parametrize("path", VALUE_SETS, ids=lambda path: path.stem)
def test_a_value_set_that_is_checked_fits_the_schema_and_has_settings_of_relay(path, tmp_path):
    values = yaml.safe_load(path.read_text(encoding="utf-8"))
    jsonschema.validate(VALUES | values, SCHEMA)
    (tmp_path / "relay.yaml").write_text(yaml.safe_dump(values["settings"]))
    variables = {"RELAY_TRACKING__API_TOKEN": "t"}
    assert load(tmp_path / "relay.yaml", variables).tracking.datamart_id == "1234"


def test_every_value_is_given_in_some_value_set_or_is_a_matter_of_taste():
    given = {key for path in VALUE_SETS for key in yaml.safe_load(path.read_text())}
    taste = {"nameOverride", "fullnameOverride", "global", "affinity", "replicas", "resources",
             "terminationGracePeriodSeconds", "podDisruptionBudget"}  # fmt: skip
    assert set(SCHEMA["properties"]) - given == taste


def test_the_settings_of_the_values_are_settings_of_relay(tmp_path):
    """Only Kafka's address and the datamart are left to be filled in."""
    settings = {**VALUES["settings"], "tracking": {"datamart_id": "1234"}}
    settings["kafka"] = {**settings["kafka"], "bootstrap_servers": "kafka:9092"}
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


def chosen_by(selector, labels):
    """Whether a pod selector takes pods with these labels."""
    return selector.items() <= labels.items()


@needs_helm
def test_what_nobody_can_guess_is_asked_for(tmp_path):
    missing = helm(tmp_path, image={})
    assert "/image/repository" in missing.stderr
    tracking, kafka = LEAST["settings"]["tracking"], LEAST["settings"]["kafka"]
    assert (
        "settings.kafka.bootstrap_servers: required"
        in helm(tmp_path, settings={"tracking": tracking}).stderr
    )
    without = helm(tmp_path, settings={"kafka": kafka})
    assert "settings.tracking.datamart_id: required" in without.stderr
    variable = {"name": "RELAY_TRACKING__DATAMART_ID", "value": "1234"}
    documents(helm(tmp_path, settings={"kafka": kafka}, env=[variable]))


@needs_helm
def test_a_drain_that_would_be_cut_short_is_refused(tmp_path):
    short = helm(tmp_path, terminationGracePeriodSeconds=20)
    assert "must exceed settings.delivery.stop_deadline_s" in short.stderr


@needs_helm
def test_a_deployment_or_a_stateful_set_with_a_member_for_each_pod(tmp_path):
    assert "StatefulSet" not in documents(helm(tmp_path))
    found = documents(helm(tmp_path, staticMembership=True))
    assert "Deployment" not in found
    (container,) = found["StatefulSet"]["spec"]["template"]["spec"]["containers"]
    assert {"name": "RELAY_KAFKA__GROUP_INSTANCE_ID", "value": "{hostname}"} in container["env"]
    assert found["StatefulSet"]["spec"]["serviceName"] == found["Service"]["metadata"]["name"]


@needs_helm
@pytest.mark.parametrize("monitor", ["podMonitor", "serviceMonitor"])
def test_a_monitor_finds_the_admin_port_and_each_pod_is_scraped_once(monitor, tmp_path):
    found = documents(helm(tmp_path, **{monitor: {"enabled": True}}))
    kind = monitor[0].upper() + monitor[1:]
    spec = found[kind]["spec"]
    (endpoint,) = spec.get("podMetricsEndpoints") or spec["endpoints"]
    pod = found["Deployment"]["spec"]["template"]
    (container,) = pod["spec"]["containers"]
    assert endpoint["port"] == container["ports"][0]["name"] == "admin"
    target = pod if monitor == "podMonitor" else found["Service"]
    assert chosen_by(spec["selector"]["matchLabels"], target["metadata"]["labels"])
    both = helm(tmp_path, podMonitor={"enabled": True}, serviceMonitor={"enabled": True})
    assert "scraped twice" in both.stderr


@needs_helm
def test_every_alert_of_the_chart_leads_to_its_section_of_the_runbook(tmp_path):
    at = "https://git.example.com/RUNBOOK.md"
    found = documents(helm(tmp_path, alerts={"enabled": True, "runbookUrl": at}))
    rules = found["PrometheusRule"]["spec"]["groups"][0]["rules"]
    assert rules
    for rule in rules:
        assert rule["annotations"]["runbook_url"] == f"{at}#{rule['alert'].lower()}"
        assert "{{" not in rule["annotations"]["runbook_url"]


@needs_helm
@pytest.mark.parametrize("static", [False, True])
def test_replicas_follow_what_is_not_settled(static, tmp_path):
    scaled = {"enabled": True, "prometheusAddress": "http://prometheus:9090"}
    found = documents(helm(tmp_path, autoscaling=scaled, staticMembership=static))
    workload = found["StatefulSet" if static else "Deployment"]
    spec = found["ScaledObject"]["spec"]
    assert spec["scaleTargetRef"] == {
        "kind": workload["kind"], "name": workload["metadata"]["name"],
    }  # fmt: skip
    assert "replicas" not in workload["spec"], "two would set it, in turn"
    (trigger,) = spec["triggers"]
    query = trigger["metadata"]["query"]
    assert re.findall(r"relay_\w+", query) == ["relay_lag"]
    assert f'pod=~"{workload["metadata"]["name"]}-.+"' in query
    assert spec["minReplicaCount"] >= 1
    few = helm(tmp_path, autoscaling={**scaled, "minReplicas": 20})
    assert "is more than autoscaling.maxReplicas" in few.stderr


@needs_helm
def test_a_network_policy_is_about_all_pods_and_lets_only_scrapers_in(tmp_path):
    schedule = [{"sync": "churn", "schedule": "@daily"}]
    values = {"segments": {"schedules": schedule, "existingClaim": "c"}}
    scrapers = [{"podSelector": {"matchLabels": {"app": "prometheus"}}}]
    policy = {"enabled": True, "scrapers": scrapers, "egressPorts": [9092]}
    found = documents(helm(tmp_path, networkPolicy=policy, **values))
    spec = found["NetworkPolicy"]["spec"]
    job = found["CronJob"]["spec"]["jobTemplate"]["spec"]["template"]
    for pod in (found["Deployment"]["spec"]["template"], job):
        for rule in spec["podSelector"]["matchExpressions"]:
            assert pod["metadata"]["labels"][rule["key"]] in rule["values"]
    assert [rule["from"] for rule in spec["ingress"]] == [scrapers]
    assert {port["port"] for port in spec["egress"][0]["ports"]} == {53, 9092}
    closed = documents(helm(tmp_path, networkPolicy={"enabled": True}))
    assert closed["NetworkPolicy"]["spec"]["ingress"] == []


@needs_helm
def test_every_pod_gets_the_account_the_volumes_and_the_variables(tmp_path):
    schedule = [{"sync": "churn", "schedule": "@daily"}]
    found = documents(
        helm(
            tmp_path,
            segments={"schedules": schedule, "existingClaim": "c"},
            serviceAccount={"create": True},
            env=[{"name": "A", "value": "b"}],
            envFrom=[{"configMapRef": {"name": "more"}}],
            extraVolumes=[{"name": "ca", "configMap": {"name": "ca"}}],
            extraVolumeMounts=[{"name": "ca", "mountPath": "/etc/ca"}],
            image={"repository": "relay", "digest": "sha256:" + "0" * 64},
        )
    )
    job = found["CronJob"]["spec"]["jobTemplate"]["spec"]["template"]["spec"]
    for pod in (found["Deployment"]["spec"]["template"]["spec"], job):
        (container,) = pod["containers"]
        assert pod["serviceAccountName"] == found["ServiceAccount"]["metadata"]["name"]
        assert pod["automountServiceAccountToken"] is False
        assert {"name": "A", "value": "b"} in container["env"]
        assert container["envFrom"] == [{"configMapRef": {"name": "more"}}]
        assert {"name": "ca", "configMap": {"name": "ca"}} in pod["volumes"]
        assert {"name": "ca", "mountPath": "/etc/ca"} in container["volumeMounts"]
        assert container["image"] == "relay@sha256:" + "0" * 64


@needs_helm
def test_helm_makes_a_cron_job_for_each_schedule_and_refuses_one_without_a_claim(tmp_path):
    syncs = [{"sync": "churn", "schedule": "17 * * * *"}, {"sync": "v" * 40, "schedule": "@daily"}]
    run = helm(tmp_path, segments={"schedules": syncs, "existingClaim": "c"})
    jobs = [d for d in yaml.safe_load_all(run.stdout) if d["kind"] == "CronJob"]
    assert [job["spec"]["schedule"] for job in jobs] == ["17 * * * *", "@daily"]
    assert all(len(job["metadata"]["name"]) <= 52 for job in jobs)
    chosen = documents(run)["Deployment"]["spec"]["selector"]["matchLabels"]
    labels = jobs[0]["spec"]["jobTemplate"]["spec"]["template"]["metadata"]["labels"]
    assert not chosen_by(chosen, labels)
    assert "segments.existingClaim" in helm(tmp_path, segments={"schedules": syncs}).stderr


def test_a_read_only_root_has_a_place_for_files():
    """Membership events are gathered into files while they are uploaded."""
    assert "readOnlyRootFilesystem: true" in DEPLOYMENT
    assert re.search(r"\{name: temporary, mountPath: /tmp\}", DEPLOYMENT)
    assert re.search(r"- name: temporary\n +emptyDir: ", DEPLOYMENT)
    compose = yaml.safe_load((ROOT / "docker-compose.yml").read_text(encoding="utf-8"))
    read_only = [service for service in compose["services"].values() if service.get("read_only")]
    assert read_only
    assert all(service.get("tmpfs") == ["/tmp"] for service in read_only)
