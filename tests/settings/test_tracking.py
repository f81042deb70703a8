import pytest
from pydantic import ValidationError

from relay.errors import SettingsError
from relay.settings.tracking import TrackingSettings
from relay.stream.sending.wire import WireKind


def tracking(**given) -> TrackingSettings:
    return TrackingSettings.model_validate({"datamart_id": 1234, "api_token": "api:abc", **given})


@pytest.mark.parametrize("given", [{"http2": True}, {"proxy": "http://proxy:3128"}])
def test_what_the_fast_wire_cannot_do_names_the_wire_that_can(given):
    with pytest.raises(ValidationError, match="needs wire: httpx"):
        tracking(**given)
    assert tracking(**given, wire="httpx").wire is WireKind.HTTPX


def test_the_token_comes_from_the_setting_or_from_the_file(tmp_path):
    path = tmp_path / "token"
    path.write_text("api:file\n")
    assert tracking().authorization().header(0) == "api:abc"
    from_file = tracking(api_token=None, api_token_file=path, api_token_prefix="Bearer ")
    assert from_file.authorization().header(0) == "Bearer api:file"


def test_without_a_token_the_settings_load_and_the_login_says_what_to_set():
    with pytest.raises(SettingsError, match="RELAY_TRACKING__API_TOKEN"):
        tracking(api_token=None).authorization()


@pytest.mark.parametrize(
    "given",
    [
        {"base_url": "api.mediarithmics.com"},
        {"base_url": "ftp://api.mediarithmics.com"},
        {"base_url": "https://"},
        {"base_url": "https://host:port"},
        {"base_url": "https://user:pass@host"},
        {"base_url": "https://host/?x=1"},
        {"proxy": "proxy:3128"},
        {"proxy": "socks5://proxy:3128"},
        {"datamart_id": "12a"},
        {"datamart_id": ""},
        {"read_timeout_s": 31},
        {"connect_timeout_s": 0},
        {"total_timeout_s": "inf"},
        {"client_key_file": "key.pem"},
        {"api_token_prefix": "Bearer\n"},
        {"api_tokn": "x"},
        {"wire": "aiohttp"},
    ],
    ids=str,
)
def test_a_value_that_cannot_work_is_refused(given):
    with pytest.raises(ValidationError):
        tracking(**given)


def test_no_repr_and_no_error_shows_a_secret():
    settings = tracking(
        api_token="api:abc-secret", proxy="http://u:pass-secret@proxy", wire="httpx"
    )
    assert "secret" not in repr(settings)
    with pytest.raises(ValidationError) as raised:
        tracking(api_token="api:abc-secret", proxy="nonsense-secret", ca_file=3)
    assert "secret" not in str(raised.value)
