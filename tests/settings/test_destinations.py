"""`destinations` and `routing` of the settings: several datamarts, or the one of `tracking`."""

from pathlib import Path

import pytest

from relay.errors import SettingsError
from relay.model import Record, Unmappable
from relay.settings import load
from relay.settings.reading import interpret_policy
from relay.settings.shown import shown

TWO = """
destinations:
  - {name: fr, datamart_id: 1, api_token: secret-of-fr}
  - name: de
    datamart_id: 2
    api_token_file: de.token
    limits: {max_in_flight: 8, rate_per_second: 50}
routing: {field: site_id, table: {F: fr, D: de}}
"""
ONE = "tracking: {datamart_id: 9, api_token: secret-of-tracking}\n"


@pytest.fixture(autouse=True)
def _directory(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("de.token").write_text("secret-of-de\n")


def loaded(text, **options):
    Path("relay.yaml").write_text(text)
    return load(None, {}, **options)


def test_tracking_is_the_short_form_for_one():
    settings = loaded(ONE)
    assert [(name, one.datamart_id) for name, one in settings.sending.items()] == [("default", "9")]
    assert interpret_policy(settings).routes is None


def test_with_destinations_tracking_may_be_left_out():
    settings = loaded(TWO)
    assert list(settings.sending) == ["fr", "de"]
    assert settings.sending["de"].authorization().header(0.0) == "secret-of-de"
    assert settings.sending["fr"].authorization().header(0.0) == "secret-of-fr"


def test_beside_destinations_tracking_is_the_one_called_default():
    settings = loaded(ONE + TWO)
    assert list(settings.sending) == ["default", "fr", "de"]


def test_each_has_limits_of_its_own_where_they_are_given():
    policies = loaded(TWO + "delivery: {max_in_flight: 32, rate_per_second: 900}").policies()
    limits = {
        name: (one.destination.limit.max_in_flight, one.destination.rate.rate_per_second)
        for name, one in policies.items()
    }
    assert limits == {"fr": (32, 900), "de": (8, 50)}
    assert policies["de"].activities_path == "/v1/datamarts/2/user_activities"


@pytest.mark.parametrize(
    ("text", "shares"),
    [
        (ONE, False),
        (ONE + "delivery: {rate_per_second: 9, rate_shared: true}", True),
        (TWO, False),
        (TWO.replace("rate_per_second: 50", "rate_per_second: 50, rate_shared: true"), True),
    ],
)
def test_a_rate_is_shared_when_that_of_any_destination_is(text, shares):
    assert loaded(text).shares_rate is shares


def test_its_user_points_are_those_of_its_datamart():
    routes = interpret_policy(loaded(TWO)).routes
    assert {name: one.datamart_id for name, one in routes.mappings.items()} == {
        "fr": "1",
        "de": "2",
    }


def test_one_that_has_a_name_and_a_route_takes_only_what_the_route_gives_it():
    one = "destinations: [{name: fr, datamart_id: 1, api_token: t}]\n"
    assert interpret_policy(loaded(one)).routes is None
    routes = interpret_policy(loaded(one + "routing: {topics: {a: fr}}")).routes
    assert routes.choose(Record("a", 0, 0, 0, None, None), None) == "fr"
    assert isinstance(routes.choose(Record("b", 0, 0, 0, None, None), None), Unmappable)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (TWO.replace("name: de", "name: fr"), "relay.yaml:4: destinations[1].name: another one"),
        (TWO.replace("F: fr", "F: fra"), "relay.yaml:8: routing.table.F: there is no such"),
        (TWO.replace("F: fr", "F: dee"), "did you mean de?"),
        (TWO.replace("name: de", "name: Élan"), "destinations[1].name: "),
        (ONE + TWO.replace("name: de", "name: default"), "default is the name of what `tracking`"),
        (TWO.partition("routing")[0], "routing: several destinations need a way to choose"),
        (TWO.replace("datamart_id: 2", "datamart: 2"), "did you mean destinations[1].datamart_id?"),
        (
            TWO.replace("datamart_id: 1, ", ""),
            "destinations[0].datamart_id: required but not given",
        ),
        (
            TWO.replace("secret-of-fr", "secret-of-fr, api_token_file: de.token"),
            "give this or destinations[0].api_token_file, not both",
        ),
        (ONE + "routing: {default: fr}", "routing.default: there is no such destination"),
        (
            TWO + "segments: {membership: {enabled: true}}",
            "give that section beside `destinations`",
        ),
    ],
)
def test_what_is_wrong_is_a_line_with_its_place(text, said):
    with pytest.raises(SettingsError) as raised:
        loaded(text)
    assert said in str(raised.value)
    assert "secret-of" not in str(raised.value)


def test_one_without_a_token_names_itself():
    settings = loaded(TWO.replace(", api_token: secret-of-fr", ""))
    with pytest.raises(SettingsError, match=r"destinations\[fr\]\.api_token is missing"):
        settings.sending["fr"].authorization()


def test_whoever_needs_tracking_itself_says_so():
    with pytest.raises(SettingsError, match=r"tracking\.datamart_id: required but not given"):
        loaded(TWO, needs=["tracking"])


def test_secrets_of_destinations_are_masked():
    assert "secret-of" not in str(shown(loaded(TWO)))


def test_a_proxy_may_stand_in_a_file_of_its_own():
    Path("proxy").write_text("https://user:password@proxy:3128\n")
    text = TWO.replace("datamart_id: 2", "datamart_id: 2\n    wire: httpx\n    proxy_file: proxy")
    proxy = loaded(text).sending["de"].proxy
    assert proxy.get_secret_value() == "https://user:password@proxy:3128"
