import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relay.errors import SettingsError
from relay.stream.sending.token import CHECK_EVERY_S, TokenFile, clean_token, static_token


@pytest.fixture
def path(tmp_path):
    path = tmp_path / "token"
    path.write_text("api:first\n")
    return path


def test_white_space_around_a_token_is_not_part_of_it():
    assert static_token(" \tapi:abc \r\n").header(0) == "api:abc"


def test_a_prefix_stands_in_front_of_the_token():
    assert static_token("abc", prefix="Bearer ").header(0) == "Bearer abc"


@pytest.mark.parametrize("token", ["a\nb", "a\r\nX-Evil: 1", "a\x00b", "a\x7fb", "a\tb"])
def test_a_control_character_inside_a_token_is_refused(token):
    with pytest.raises(SettingsError, match="api_token holds a control character"):
        static_token(token)


@pytest.mark.parametrize("token", ["", " ", "\n"])
def test_an_empty_token_is_refused(token):
    with pytest.raises(SettingsError, match="is empty"):
        static_token(token)


def test_a_token_outside_ascii_is_refused():
    with pytest.raises(SettingsError, match="outside ASCII"):
        static_token("api:clé")


@given(st.text())
def test_what_is_accepted_can_stand_in_a_header(text):
    try:
        token = clean_token(text, "the token")
    except SettingsError:
        return
    assert token
    assert all(0x20 <= ord(character) < 0x7F for character in token)


@given(st.text(min_size=4))
def test_a_token_that_is_refused_is_not_repeated(text):
    secret = f"S{text}S\x00"
    with pytest.raises(SettingsError) as raised:
        clean_token(secret, "the token")
    assert secret not in str(raised.value)


def test_the_token_file_is_read_again_when_its_content_changes(path):
    token = TokenFile(path)
    assert token.header(10.0) == "api:first"
    path.write_text("api:second-and-longer\n")
    assert token.header(10.0 + CHECK_EVERY_S) == "api:second-and-longer"


def test_the_token_file_is_read_again_when_another_takes_its_place(path, tmp_path):
    token = TokenFile(path, prefix="x ")
    assert token.header(0.0) == "x api:first"
    before = path.stat()
    fresh = tmp_path / "fresh"
    fresh.write_text("api:other\n")  # as long as the first, and made to look as old
    os.utime(fresh, ns=(before.st_atime_ns, before.st_mtime_ns))
    fresh.replace(path)
    assert token.header(CHECK_EVERY_S) == "x api:other"


def test_a_mounted_secret_that_is_swapped_by_its_link_is_seen(tmp_path):
    for name in ("first", "other"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "token").write_text(f"api:{name}")
    link = tmp_path / "data"
    link.symlink_to("first")
    token = TokenFile(link / "token")
    swapped = tmp_path / "swapped"
    swapped.symlink_to("other")
    swapped.replace(link)
    assert (token.header(0.0), token.header(CHECK_EVERY_S)) == ("api:first", "api:other")


def test_the_token_file_is_looked_at_once_a_second_at_most(path):
    token = TokenFile(path)
    token.header(0.0)
    path.write_text("api:second-and-longer")
    assert token.header(CHECK_EVERY_S - 0.001) == "api:first"
    assert token.header(CHECK_EVERY_S) == "api:second-and-longer"


def test_whoever_asked_is_told_of_another_token_and_of_nothing_else(path):
    told = []
    token = TokenFile(path, renewed=lambda: told.append(path.read_text()))
    for second, content in enumerate(("api:first", "api:first\n\n", "", "api:second")):
        path.write_text(content)
        token.header(second * CHECK_EVERY_S)
    assert told == ["api:second"]


@pytest.mark.parametrize("content", [None, b"", b"a\nb", b"\xff", b"x" * 70_000])
def test_while_the_token_file_is_of_no_use_the_last_good_token_stays(path, content):
    token = TokenFile(path)
    token.header(0.0)
    path.unlink()
    if content is not None:
        path.write_bytes(content)
    assert token.header(1.0) == "api:first"
    assert token.problem is not None
    assert str(path) in token.problem
    path.write_text("api:mended")
    assert token.header(2.0) == "api:mended"
    assert token.problem is None


@pytest.mark.parametrize("content", [None, b"", b"a\nb", b"\xff", b"x" * 70_000])
def test_a_token_file_that_is_of_no_use_at_the_start_is_an_error_that_names_it(tmp_path, content):
    path = tmp_path / "token"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(SettingsError) as raised:
        TokenFile(path)
    assert str(path) in str(raised.value)
    assert "\n" not in str(raised.value)


def test_no_repr_shows_a_token(path):
    assert "api:" not in repr(static_token("api:abc"))
    assert "api:" not in repr(TokenFile(path))
