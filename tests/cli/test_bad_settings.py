"""What `relay run` says about settings files with the mistakes that people make."""

import gzip
import re
from pathlib import Path

import pytest

from relay import cli
from relay.errors import ExitStatus, SettingsError
from relay.settings import Settings, load
from relay.settings.options import is_many, options

REST = 'tracking: {datamart_id: "1234", api_token: t}\nidentity: {default_compartment_id: "1000"}\n'
TRACKING = 'tracking: {{datamart_id: "1234", api_token: t, base_url: "{}"}}\n'


def told(capsys, *arguments: str) -> list[str]:
    """Standard error of a command that must end because of its settings."""
    with pytest.raises(SystemExit) as ended:
        cli.main(arguments)
    assert ended.value.code == ExitStatus.SETTINGS
    return capsys.readouterr().err.splitlines()


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("kafka:\n\ttopics: [a]\n", "2: is not valid YAML: a tab stands here: YAML indents"),
        ("kafka:\n  topics: [a, b\n", "2: is not valid YAML: a [ is opened here and not closed"),
        ("kafka: {group_id: a\nadmin:\n", "1: is not valid YAML: a { is opened here and not"),
        ("kafka:\n  group_id: a: b\n", "2: is not valid YAML: a second `: ` on a line"),
        ("kafka:\n  group_id: @a\n", "2: is not valid YAML: a value cannot begin with @"),
        (
            "kafka:\n    group_id: a\n  client_id: b\n",
            "3: is not valid YAML: this line is indented",
        ),
        ('kafka: {group_id: "a\\d"}\n', "1: is not valid YAML: \\ is special between double"),
        ("a: 1\n---\nb: 2\n", "2: is not valid YAML: a second document begins here"),
    ],
)
def test_a_mistake_in_yaml_is_one_line_that_says_what_to_change(capsys, text, line):
    Path("my.yaml").write_text(text + REST)
    (said,) = told(capsys, "run", "--config", "my.yaml")
    assert said.startswith(f"relay: my.yaml:{line}")


@pytest.mark.parametrize(
    ("kafka", "says"),
    [
        ("bootstrap_servers: kafka://k:9092", "must be host:port, without a scheme"),
        ("bootstrap_servers: PLAINTEXT://k:9092", "must be host:port, without a scheme"),
        ("bootstrap_servers: k:9092/topic", "must be host:port; commas separate several"),
        ("bootstrap_servers: k:9092;l:9092", "must be host:port; commas separate several"),
        ("bootstrap_servers: k:99999", "a port must be a number from 1 to 65535"),
        ("bootstrap_servers: [k:9092]", "should be text"),
        ("bootstrap_servers: a..b:9092", "a host name has parts of 1 to 63 characters"),
        (f"bootstrap_servers: {'k' * 64}.example:9092", "a host name has parts of 1 to 63"),
        ('bootstrap_servers: "a\\0b"', "holds a NUL character"),
        ('group_id: "a\\nb"', "must hold no control characters, such as a line end"),
        ('client_id: "a\\eb"', "must hold no control characters, such as a line end"),
        (f"group_instance_id: {'k' * 250}", "should have at most 249 characters"),
        ("topics: app-events", "should be a list: [first, second]"),
        ("session_timeout_s: soon", "should be a number"),
        ("partition_fetch_bytes_max: much", "should be a whole number"),
        ("security: {verify_hostname: perhaps}", "should be true or false"),
        ("security: tls", "should be a mapping of settings"),
        ("group_id: ${GROUP}", "are not replaced here; leave the key out and set RELAY_KAFKA__G"),
        ('security: {password: "a${B:-c}"}', "set RELAY_KAFKA__SECURITY__PASSWORD in the env"),
    ],
)
def test_a_value_that_cannot_be_meant_is_refused_before_anything_starts(capsys, kafka, says):
    Path("my.yaml").write_text(f"kafka:\n  {kafka}\n{REST}")
    said = told(capsys, "run", "--config", "my.yaml")
    assert said[0].startswith("relay: my.yaml:2: kafka.")
    assert says in said[0]


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("admin: {token: abc}", "admin.token: should have at least 8 characters"),
        ("schema_registry: {urls: []}", "schema_registry.urls: should have at least 1 item"),
        ("tracing: {endpoint: 'http://a..b'}", "tracing.endpoint: must be an address such as"),
        ("segments: {s3: {endpoint: minio:9000}}", "s3.endpoint: must be an address such as"),
        ("tracking: {base_url: 'http://a..b'}", "tracking.base_url: must be an address such as"),
        ('tracking: {base_url: "http://a\\tb"}', "tracking.base_url: must be an address such"),
        ("tracking: {base_url: 'http://a/b c'}", "tracking.base_url: must be an address such"),
    ],
)
def test_what_is_wrong_with_a_value_is_said_in_words_of_settings(capsys, text, says):
    Path("my.yaml").write_text(text + "\n")
    said = told(capsys, "run", "--config", "my.yaml")
    assert any(line.endswith(says) or f"{says} " in line for line in said), said


_TEXT = re.compile(r"<class 'str'>|str \| None|Path|SecretStr")
TEXTS = [
    option
    for option in options(Settings)
    if option.field is None or _TEXT.search(str(option.field.annotation))
    if option.field is None or not is_many(option.field.annotation)
]


@pytest.mark.parametrize("option", TEXTS, ids=lambda option: option.name)
@pytest.mark.parametrize("text", ["é" * 16_001, "a\0b", "a\udcff"], ids=["long", "nul", "bytes"])
def test_a_text_that_no_protocol_and_no_path_takes_is_refused_whatever_it_is_for(text, option):
    with pytest.raises(SettingsError) as refused:
        load(environ={option.variable: text})
    line = next(line for line in refused.value.problem.splitlines() if option.variable in line)
    assert line.startswith(f"{option.variable}: ")
    assert text[:100] not in line or "No such file" in line  # paths may be any bytes


@pytest.mark.parametrize("kafka", ["k", "k:9092", "k:1, l:2", "[::1]:9092", "10.0.0.1:9092"])
def test_addresses_of_brokers_that_can_be_meant_are_taken(capsys, kafka):
    Path("my.yaml").write_text(f"kafka: {{bootstrap_servers: '{kafka}'}}\nsurplus: 1\n{REST}")
    assert told(capsys, "run", "--config", "my.yaml") == [
        "relay: my.yaml:2: surplus: unknown setting"
    ]


@pytest.mark.parametrize(
    "path", ["/v1", "/v1/", "/v1/datamarts/1234/user_activities", "/gateway/v1/datamarts"]
)
def test_an_address_with_the_path_of_an_endpoint_is_refused(capsys, path):
    Path("my.yaml").write_text(TRACKING.format(f"https://api.mediarithmics.com{path}"))
    (said,) = told(capsys, "run", "--config", "my.yaml")
    assert "tracking.base_url: must end before /v1/datamarts/…" in said


def test_a_datamart_that_is_no_number_is_told_with_one_that_is(capsys):
    Path("my.yaml").write_text("tracking: {datamart_id: main, api_token: t}\n")
    (said,) = told(capsys, "run", "--config", "my.yaml")
    assert said.endswith("should match pattern '^[0-9]{1,20}$', as 1234 does")


def test_a_file_that_is_not_there_is_the_only_complaint(capsys):
    assert told(capsys, "run", "--config", "my.yaml") == ["relay: my.yaml: no such file"]


def test_without_a_file_it_is_said_where_one_would_be_looked_for(capsys):
    (said,) = told(capsys, "run")
    assert "set it in ./relay.yaml, or in a file named by --config, or RELAY_TRACKING__" in said


def test_a_packed_file_is_told_as_one(capsys):
    Path("my.yaml").write_bytes(gzip.compress(REST.encode()))
    assert told(capsys, "run", "--config", "my.yaml") == [
        "relay: my.yaml: is compressed by gzip: unpack it first"
    ]


CLEAR = {
    "tracking.base_url": TRACKING.format("http://api.example.com"),
    "schema_registry.urls": (
        "schema_registry: {urls: ['http://api.example.com'], username: u, password: p}\n" + REST
    ),
    "kafka.security.oauth.token_url": (
        "kafka: {security: {protocol: SASL_SSL, mechanism: OAUTHBEARER, oauth: "
        "{token_url: 'http://api.example.com/t', client_id: c, client_secret: s}}}\n" + REST
    ),
    "segments.mparticle.base_url": (
        "segments: {mparticle: {base_url: 'http://api.example.com', api_key: k}}\n" + REST
    ),
    "segments.digital_audience.base_url": (
        "segments: {digital_audience: {base_url: 'http://api.example.com', password: p}}\n" + REST
    ),
    "segments.s3.endpoint": (
        "segments: {s3: {endpoint: 'http://api.example.com', access_key_id: a, "
        "secret_access_key: b}}\n" + REST
    ),
    "segments.proxy": "segments: {proxy: 'http://u:p@api.example.com:3128'}\n" + REST,
    "tracking.proxy": (
        "tracking: {datamart_id: 1, api_token: t, wire: httpx, "
        "proxy: 'http://u:p@api.example.com:3128'}\n" + REST.split("\n", 1)[1]
    ),
}


@pytest.mark.parametrize("name", CLEAR)
def test_a_secret_goes_over_http_only_to_hosts_that_are_named(capsys, name):
    Path("my.yaml").write_text(CLEAR[name])
    (said,) = told(capsys, "run", "--config", "my.yaml")
    assert said.startswith(f"relay: my.yaml:1: {name}: by http:// everybody on the way can read")
    Path("my.yaml").write_text("surplus: 1\nhttp: {clear_hosts: [api.example.com]}\n" + CLEAR[name])
    (said,) = told(capsys, "run", "--config", "my.yaml")
    assert said == "relay: my.yaml:1: surplus: unknown setting"


@pytest.mark.parametrize(
    "address",
    ["https://api.example.com", "http://localhost:1", "http://127.0.0.2:1", "http://[::1]:1"],
)
def test_addresses_that_nobody_can_listen_to_need_no_name(capsys, address):
    Path("my.yaml").write_text("surplus: 1\n" + TRACKING.format(address))
    (said,) = told(capsys, "run", "--config", "my.yaml")
    assert said == "relay: my.yaml:1: surplus: unknown setting"


def test_an_address_without_a_secret_may_be_http(capsys):
    registry = "schema_registry: {urls: ['http://api.example.com']}\n"
    Path("my.yaml").write_text("surplus: 1\n" + registry + REST)
    (said,) = told(capsys, "run", "--config", "my.yaml")
    assert said == "relay: my.yaml:1: surplus: unknown setting"


def test_the_token_of_a_tap_stays_on_this_machine_too(capsys):
    Path("token").write_text("a long token")
    with pytest.raises(SystemExit) as ended:
        cli.main(["tap", "--url", "http://relay.example.com:9464", "--token-file", "token"])
    assert ended.value.code == ExitStatus.INPUT
    assert "by http:// everybody on the way can read the token" in capsys.readouterr().err
