"""The frame of the settings: where values come from, and what is said when they are wrong."""

import json
from pathlib import Path
from typing import Self

import pytest
from pydantic import Field, SecretStr, ValidationError, model_validator

from relay import settings as package
from relay.errors import ExitStatus, SettingsError
from relay.section import Section
from relay.settings import Settings, load
from relay.settings.secrets import secret_values
from relay.settings.yaml_file import read_file

SECRET = "tok-5ecret-9000"
MISSING = (
    "sample.datamart_id: required but not given; set it in the settings file, "
    "or RELAY_SAMPLE__DATAMART_ID in the environment"
)


HALF = "an escape for half a character (\\ud800 to \\udfff)"


class Rule(Section):
    """A thing in a list."""

    status: list[int] = Field(default_factory=list, description="Statuses.")
    verdict: str = Field("refused", description="Verdict.")


class Login(Section):
    """A group in a section."""

    user: str = Field("", description="User.")
    password: SecretStr | None = Field(None, description="Password.")


class Sample(Section):
    """A section with a field of every kind that sections use."""

    topics: list[str] = Field(default_factory=lambda: ["app-events"], description="Topics.")
    datamart_id: str = Field(description="Datamart.")
    limit: int = Field(256, ge=1, description="Limit.")
    login: Login = Field(default_factory=Login, description="Login.")
    rules: list[Rule] = Field(default_factory=list, description="Rules.")
    token: SecretStr = Field(SecretStr("none"), description="Token.")
    either: Login | Rule | None = Field(None, description="One group or another.")
    headers: dict[str, str] = Field(default_factory=dict, description="Headers.")


class Tokens(Section):
    """A section whose user re-reads the file by itself."""

    api_token: SecretStr | None = Field(None, description="Token.")
    api_token_file: Path | None = Field(None, description="File with the token.")


class Whole(Settings):
    """Settings as they are, and sections that a test can rely on."""

    sample: Sample = Field(description="Sample.")
    tokens: Tokens = Field(description="Tokens.")

    @model_validator(mode="after")
    def _agree(self) -> Self:
        if self.sample.limit == 13:
            raise ValueError("sample.limit must not be what tokens fear")
        return self


@pytest.fixture(autouse=True)
def whole(monkeypatch, tmp_path):
    monkeypatch.setattr(package, "Settings", Whole)
    monkeypatch.chdir(tmp_path)


def given(text: str = "", needs=("sample", "tokens"), **variables: str) -> Whole:
    path = None
    if text:
        path = Path("my.yaml")
        path.write_text(text)
    settings = load(path, variables, needs=needs)
    assert isinstance(settings, Whole)
    return settings


def complaints(text: str = "", **variables: str) -> list[str]:
    with pytest.raises(SettingsError) as caught:
        given(text, **variables)
    assert caught.value.exit_status == ExitStatus.SETTINGS
    assert SECRET not in str(caught.value)
    return str(caught.value).splitlines()


def test_the_environment_wins_over_the_file_key_by_key():
    settings = given(
        "sample:\n  datamart_id: 1\n  limit: 5\n  login: {user: ann}\n",
        RELAY_SAMPLE__LIMIT="7",
        RELAY_SAMPLE__LOGIN__PASSWORD="x",
    )
    assert (settings.sample.datamart_id, settings.sample.limit) == ("1", 7)
    assert settings.sample.login.user == "ann"
    assert settings.sample.login.password == SecretStr("x")


def test_relay_yaml_in_the_working_directory_is_read_when_no_file_is_named():
    Path("relay.yaml").write_text("sample: {datamart_id: 77}")
    assert given().sample.datamart_id == "77"


def test_a_file_that_is_named_must_exist():
    with pytest.raises(SettingsError, match=r"^gone\.yaml: no such file$"):
        load(Path("gone.yaml"), {}, needs=[])


def test_a_header_with_nothing_below_it_counts_as_not_given():
    settings = given("sample:\n  datamart_id: 1\n  login:\nadmin:\n")
    assert settings.sample.login == Login()


def test_an_empty_file_is_no_settings():
    Path("relay.yaml").write_text("# nothing yet\n")
    assert given(needs=[]).log.level == "info"


def test_an_empty_variable_counts_as_not_given():
    assert given("sample: {datamart_id: 1}", RELAY_SAMPLE__DATAMART_ID="").sample.datamart_id == "1"


@pytest.mark.parametrize("text", ["a,b", " a , b ,", '["a", "b"]'])
def test_a_list_in_a_variable_is_separated_by_commas_or_is_json(text):
    variables = {"RELAY_SAMPLE__DATAMART_ID": "1", "RELAY_SAMPLE__TOPICS": text}
    assert given(**variables).sample.topics == ["a", "b"]


def test_a_group_and_a_list_of_groups_in_a_variable_are_json():
    settings = given(
        RELAY_SAMPLE='{"datamart_id": "1", "limit": 3}',
        RELAY_SAMPLE__LIMIT="4",
        RELAY_SAMPLE__RULES='[{"status": [429]}]',
        RELAY_SAMPLE__HEADERS='{"a": "b"}',
    )
    assert settings.sample.limit == 4, "the more precise variable wins"
    assert settings.sample.rules == [Rule(status=[429])]
    assert settings.sample.headers == {"a": "b"}


def test_of_two_groups_in_json_the_more_precise_one_wins():
    settings = given(
        RELAY_SAMPLE='{"datamart_id": "1", "login": {"user": "ann", "password": "p"}}',
        RELAY_SAMPLE__LOGIN='{"user": "bob"}',
    )
    assert settings.sample.login.user == "bob"
    assert settings.sample.login.password == SecretStr("p")


def test_a_group_in_json_that_is_no_object_is_refused_once():
    lines = complaints(RELAY_SAMPLE="[1]", RELAY_SAMPLE__LIMIT="3")
    assert lines == ["RELAY_SAMPLE: should be a mapping of settings"]


def test_sections_that_contradict_each_other_are_refused():
    path = Path("my.yaml")
    path.write_text("sample: {datamart_id: 1, limit: 13}\ntracking: {datamart_id: 1, api_token: t}")
    with pytest.raises(SettingsError, match=r"^sample\.limit must not be what tokens fear$"):
        load(path, {})


def test_a_value_that_its_section_refuses_as_a_whole_is_told_with_its_place():
    lines = complaints("sample: {datamart_id: 1}\nkafka:\n  topics: []\n")
    assert lines[0].startswith("my.yaml:2: kafka: ")


def test_json_that_is_none_is_refused_without_showing_it():
    assert complaints(RELAY_SAMPLE__LOGIN=SECRET) == [
        "RELAY_SAMPLE__LOGIN: is not valid JSON (character 0)",
        MISSING.replace("the settings file", "./relay.yaml, or in a file named by --config"),
    ]


def test_an_unknown_key_is_refused_with_its_line_and_the_nearest_known_one():
    assert complaints("sample:\n  datamart_id: 1\n\n  topcs: [a]\n") == [
        "my.yaml:4: sample.topcs: unknown setting; did you mean sample.topics?"
    ]


def test_an_unknown_key_deep_inside_is_refused_too():
    text = "sample:\n  datamart_id: 1\n  login: {usr: x}\n  rules:\n  - statis: [1]\n"
    assert complaints(text) == [
        "my.yaml:3: sample.login.usr: unknown setting; did you mean sample.login.user?",
        "my.yaml:5: sample.rules[0].statis: unknown setting; did you mean sample.rules[0].status?",
    ]


def test_a_key_of_neither_of_two_groups_is_named_without_pydantic_s_own_words():
    assert complaints("sample: {datamart_id: 1, either: {usr: x}}") == [
        "my.yaml:1: sample.either.usr: unknown setting; did you mean sample.either.user?"
    ]


def test_a_key_inside_a_list_that_a_variable_replaced_is_the_variable_s():
    text = "sample:\n  datamart_id: 1\n  rules:\n  - verdict: x\n"
    (line,) = complaints(text, RELAY_SAMPLE__RULES='[{"statis": [1]}]')
    assert line.startswith("RELAY_SAMPLE__RULES: sample.rules[0].statis: unknown setting")


def test_a_key_on_the_wrong_level_is_sent_to_the_right_one():
    assert complaints("sample: {datamart_id: 1}\ndatamart_id: 1\n") == [
        "my.yaml:2: datamart_id: unknown setting; did you mean sample.datamart_id?"
    ]


def test_an_unknown_section_is_refused_with_the_nearest_known_one():
    assert complaints("sampel: {datamart_id: 1}\n")[0] == (
        "my.yaml:1: sampel: unknown setting; did you mean sample?"
    )


def test_a_key_like_no_other_is_refused_without_a_guess():
    assert complaints("sample: {datamart_id: 1, zzz: 1}") == [
        "my.yaml:1: sample.zzz: unknown setting"
    ]


@pytest.mark.parametrize(
    "name", ["RELAY_SAMPLE__LIMITS", "RELAY_SAMPLE_LIMIT", "RELAY_sample__limit"]
)
def test_an_unknown_variable_is_refused_with_the_nearest_known_one(name):
    lines = complaints("sample: {datamart_id: 1}", **{name: SECRET})
    assert lines == [f"{name}: unknown setting; did you mean RELAY_SAMPLE__LIMIT?"]


def test_variables_that_kubernetes_and_the_tests_set_are_no_settings():
    links = {
        "RELAY_SERVICE_HOST": "10.0.0.1",
        "RELAY_SERVICE_PORT": "9464",
        "RELAY_SERVICE_PORT_ADMIN": "9464",
        "RELAY_PORT": "tcp://10.0.0.1:9464",
        "RELAY_PORT_9464_TCP": "tcp://10.0.0.1:9464",
        "RELAY_PORT_9464_TCP_ADDR": "10.0.0.1",
        "RELAY_MAIN_SERVICE_HOST": "10.0.0.1",
        "RELAY_TEST_KAFKA": "localhost:9092",
    }
    assert given("sample: {datamart_id: 1}", **links).sample.limit == 256


def test_every_problem_of_file_and_environment_is_reported_at_once():
    lines = complaints(
        "sample:\n  limit: many\n  login: 5\n", RELAY_ADMIN__PORT="70000", RELAY_LOG__LEVEL="loud"
    )
    assert lines == [
        "RELAY_ADMIN__PORT: should be less than or equal to 65535",
        "RELAY_LOG__LEVEL: should be 'debug', 'info', 'warning' or 'error'",
        MISSING,
        "my.yaml:2: sample.limit: should be a whole number",
        "my.yaml:3: sample.login: should be a mapping of settings",
    ]


def test_a_section_that_is_not_needed_may_lack_values_but_not_hold_wrong_ones():
    settings = given(needs=["log"])
    assert settings.log.level == "info"
    assert not hasattr(settings, "sample")
    with pytest.raises(SettingsError, match="unknown setting"):
        given("sample: {zzz: 1}", needs=["log"])


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("sample:\n  - [1\n", 2),
        (f"sample:\n  token: %{SECRET}\n", 2),
        (f"sample:\n  token: *{SECRET}\n", 2),
        (f"sample:\n  token: !{SECRET} x\n  datamart_id: 1\n", 2),
        ("sample: {datamart_id: 1}\nsample: {datamart_id: 2}\n", 2),
        ("sample: &a\n  datamart_id: 1\n  rules: [*a]\n", 1),
        ("sample:\n  ? [1]\n  : 2\n  datamart_id: 1\n", 2),
        ("- sample\n", 1),
        ("sample: {datamart_id: 1}\n\tlog:\n", 2),
    ],
)
def test_yaml_that_cannot_be_used_is_one_line_with_its_line_number(text, line):
    first = complaints(text)[0]
    assert first.startswith(f"my.yaml:{line}: ")


def bomb(levels: int, width: int = 9) -> str:
    """Aliases of aliases: `width` to the power of `levels` values in a few lines."""
    return "a0: &a0 [x]\n" + "".join(
        f"a{level}: &a{level} [{', '.join([f'*a{level - 1}'] * width)}]\n"
        for level in range(1, levels + 1)
    )


def test_aliases_that_multiply_are_refused_with_the_line_where_they_do():
    assert complaints("tokens: {}\n" + bomb(levels=60))[0] == (
        "my.yaml:6: its aliases repeat more than 10000 values; write the values out"
    )


def test_aliases_that_people_use_are_read():
    text = "sample: &one {name: a}\nother: [*one, *one]"
    Path("my.yaml").write_text(text)
    read = read_file(Path("my.yaml"))
    assert (read.data["other"], read.problems) == ([{"name": "a"}, {"name": "a"}], [])


def test_a_character_may_be_a_pair_of_escapes_as_json_writes_it():
    assert given('{"sample": {"datamart_id": "\\ud83d\\ude00"}}').sample.datamart_id == "😀"


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("sample:\n  n: " + "9" * 5_000, "my.yaml:2: a number of more than 100 digits"),
        ("sample:\n  n: -" + "9" * 5_000, "my.yaml:2: a number of more than 100 digits"),
        ("sample:\n- " + "[" * 60 + "]" * 60, "my.yaml:2: is nested too deeply"),
        ("sample: " + "[" * 5_000, "my.yaml: is nested too deeply"),
        ('sample: {datamart_id: "a\\ud83d"}', f"my.yaml:1: {HALF}"),
        ('"\\ud83d": 1', f"my.yaml:1: {HALF}"),
        ("#" * 1_000_001, "my.yaml: has more than 1000000 characters: not settings?"),
    ],
)
def test_what_is_out_of_all_proportion_is_one_line_and_no_defect(text, complaint):
    assert complaint in complaints(text)


def test_a_directory_is_no_settings_file():
    with pytest.raises(SettingsError, match=r"^\.: cannot be read: Is a directory$"):
        load(Path(), {}, needs=[])


def test_a_file_that_is_no_text_is_one_line():
    Path("my.yaml").write_bytes(b"\xff\xfe")
    with pytest.raises(SettingsError, match=r"my\.yaml: is not UTF-8 text"):
        load(Path("my.yaml"), {}, needs=[])
    Path("my.yaml").write_bytes(b"a: \x00")
    with pytest.raises(SettingsError, match=r"my\.yaml: is not valid YAML"):
        load(Path("my.yaml"), {}, needs=[])


def test_identifiers_keep_their_digits_however_they_are_written():
    for text in ("0123", "'0123'", "1234", "12e3x", "no"):
        settings = given(f"sample: {{datamart_id: {text}}}")
        assert settings.sample.datamart_id == text.strip("'")


def test_a_secret_may_lie_in_a_file_named_in_the_file_or_the_environment(tmp_path):
    (tmp_path / "s1").write_text(SECRET + "\n")
    text = "sample: {datamart_id: 1, token_file: s1}"
    assert given(text).sample.token.get_secret_value() == SECRET
    text = "sample: {datamart_id: 1, token: other}"
    settings = given(text, RELAY_SAMPLE__TOKEN_FILE="s1", RELAY_SAMPLE__LOGIN__PASSWORD_FILE="s1")
    assert settings.sample.token.get_secret_value() == SECRET, "the environment wins"
    assert settings.sample.login.password == SecretStr(SECRET)
    text = "sample: {datamart_id: 1, token_file: gone}"
    assert given(text, RELAY_SAMPLE__TOKEN="x").sample.token.get_secret_value() == "x"


def test_a_section_that_reads_its_secret_file_itself_gets_the_path(tmp_path):
    text = "sample: {datamart_id: 1}\ntokens: {api_token: old}"
    settings = given(text, RELAY_TOKENS__API_TOKEN_FILE="/run/token")
    assert settings.tokens == Tokens(api_token_file=Path("/run/token"))
    text = "sample: {datamart_id: 1}\ntokens: {api_token_file: /run/old}"
    settings = given(text, RELAY_TOKENS__API_TOKEN="new")
    assert settings.tokens == Tokens(api_token=SecretStr("new"))


def test_a_secret_and_its_file_in_one_place_contradict_each_other():
    for text in ("token: x, token_file: s1", "token_file: s1, token: x"):
        assert complaints(f"sample: {{datamart_id: 1, {text}}}") == [
            "my.yaml:1: sample.token: give this or sample.token_file, not both"
        ]


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (None, "No such file or directory (name a file that relay can read)"),
        (b"", "is empty (write the secret into it)"),
        (b"\n", "is empty (write the secret into it)"),
        (b"\xff", "is not UTF-8 text"),
        (b"x" * 70_000, "holds more than 65536 bytes, which is no secret"),
    ],
)
def test_a_secret_file_that_gives_no_secret_is_one_line(content, why):
    if content is not None:
        Path("s1").write_bytes(content)
    assert complaints("sample: {datamart_id: 1, token_file: s1}") == [
        f"my.yaml:1: sample.token_file: s1: {why}"
    ]


def test_secrets_are_in_no_representation_of_the_settings():
    settings = given(f"sample: {{datamart_id: 1, login: {{password: {SECRET}}}}}")
    assert settings.sample.login.password
    assert settings.sample.login.password.get_secret_value() == SECRET
    for shown in (repr(settings), str(settings), settings.model_dump_json()):
        assert SECRET not in shown


def test_a_secret_in_the_wrong_place_is_not_shown_by_pydantic_either():
    with pytest.raises(ValidationError) as caught:
        Sample.model_validate({"limit": SECRET})
    assert SECRET not in str(caught.value)


def test_a_secret_given_as_a_number_is_taken_as_it_is_written():
    assert given("sample: {datamart_id: 1, token: 12345}").sample.token == SecretStr("12345")


def test_all_secrets_can_be_listed_to_keep_them_out_of_text():
    settings = given("sample: {datamart_id: 1, token: one, login: {password: two}}")
    assert secret_values(settings) == ["two", "one"]
    assert secret_values(given(needs=["log"])) == []


def test_settings_are_frozen():
    settings = given("sample: {datamart_id: 1}")
    with pytest.raises(ValueError, match="frozen"):
        settings.sample.limit = 3


def test_the_environment_of_the_process_is_read_by_default(monkeypatch):
    monkeypatch.setenv("RELAY_SAMPLE", json.dumps({"datamart_id": "9"}))
    settings = load(None, needs=["sample"])
    assert isinstance(settings, Whole)
    assert settings.sample.datamart_id == "9"
