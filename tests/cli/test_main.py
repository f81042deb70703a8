"""What every command has in common: how it ends and what it says then."""

import os
import subprocess
import sys
from types import SimpleNamespace

import pytest
import typer

from relay import __version__, cli
from relay.errors import ExitStatus, KafkaUnreachable, SettingsError, TopicMissing


def ended(capsys, *arguments: str) -> SimpleNamespace:
    with pytest.raises(SystemExit) as caught:
        cli.main(arguments)
    out, err = capsys.readouterr()
    return SimpleNamespace(status=caught.value.code, out=out, err=err)


@pytest.fixture
def failing(monkeypatch):
    """A relay whose one command raises what the test says."""

    def arrange(error: BaseException) -> None:
        app = typer.Typer(pretty_exceptions_enable=False)
        app.callback()(lambda: None)

        @app.command()
        def fail() -> None:
            raise error

        monkeypatch.setattr(cli, "app", app)

    return arrange


@pytest.mark.parametrize("option", ["--version", "-V"])
def test_version_is_printed_and_is_success(capsys, option):
    end = ended(capsys, option)
    assert (end.status, end.out) == (0, f"relay {__version__}\n")


def test_help_is_plain_text(capsys):
    end = ended(capsys, "--help")
    assert end.status == 0
    assert "Usage: relay" in end.out
    assert "─" not in end.out


@pytest.mark.parametrize("encoding", ["utf-8:strict", "latin-1:strict"])
def test_what_the_terminal_cannot_show_is_an_escape(tmp_path, encoding):
    file = os.fsencode(tmp_path) + b"/caf\xe9.yaml"
    run = subprocess.run(
        [sys.executable, "-m", "relay", "check", "--config", file],
        env={"PYTHONIOENCODING": encoding},
        capture_output=True,
        check=False,
    )
    assert run.returncode == ExitStatus.SETTINGS, run.stderr
    assert b"caf\\udce9.yaml: no such file" in run.stdout


def test_a_wrong_option_is_a_usage_error(capsys):
    end = ended(capsys, "--frobnicate")
    assert end.status == ExitStatus.USAGE
    assert "--frobnicate" in end.err


def test_a_known_cause_is_one_line_and_its_exit_status(capsys, failing):
    failing(TopicMissing("kafka: topic app-events does not exist", hint="create it"))
    end = ended(capsys, "fail")
    assert end.status == ExitStatus.TOPIC_MISSING
    assert end.err == "relay: kafka: topic app-events does not exist (create it)\n"


def test_several_settings_problems_are_a_line_each(capsys, failing):
    failing(SettingsError("a: wrong\nb: wrong"))
    assert ended(capsys, "fail").err == "relay: a: wrong\nrelay: b: wrong\n"


def test_a_cause_inside_task_groups_is_found(capsys, failing):
    inner = ExceptionGroup("tasks", [KafkaUnreachable("kafka: no broker answers")])
    failing(BaseExceptionGroup("tasks", [inner, KeyboardInterrupt()]))
    end = ended(capsys, "fail")
    assert (end.status, end.err) == (
        ExitStatus.KAFKA_UNREACHABLE,
        "relay: kafka: no broker answers\n",
    )


@pytest.mark.parametrize(
    "error", [KeyboardInterrupt(), BaseExceptionGroup("tasks", [KeyboardInterrupt()])]
)
def test_an_interrupt_is_130_and_silent(capsys, failing, error):
    failing(error)
    end = ended(capsys, "fail")
    assert (end.status, end.err) == (ExitStatus.INTERRUPTED, "")


@pytest.mark.parametrize("wrap", [False, True])
def test_a_defect_tells_the_place_but_not_the_text_of_the_exception(capsys, failing, wrap):
    defect = KeyError("ann@example.com")
    failing(ExceptionGroup("tasks", [KafkaUnreachable("x"), defect]) if wrap else defect)
    end = ended(capsys, "fail")
    assert end.status == ExitStatus.BUG
    assert "unexpected KeyError" in end.err
    assert "example.com" not in end.err
    assert "Traceback" not in end.err
    if not wrap:
        assert f"{__file__}" in end.err


def test_python_m_relay_is_relay():
    run = subprocess.run(
        [sys.executable, "-m", "relay", "--version"], capture_output=True, text=True, check=True
    )
    assert run.stdout == f"relay {__version__}\n"


def test_starting_up_imports_nothing_heavy():
    """`relay --help` and every mistyped option answer at once."""
    heavy = ["aiokafka", "httpx", "httptools", "starlette", "uvicorn", "confluent_kafka", "rich"]
    code = f"import sys, relay.cli; print([m for m in {heavy} if m in sys.modules])"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout == "[]\n"


def test_what_calls_a_vendor_in_a_log_imports_nothing_for_terminals():
    """As the command line that httpx has: 5 MB of a sync."""
    code = (
        "import sys; from relay.process_start import prepare; prepare(sys.argv);"
        "import relay.cli.segments.runs, relay.cli.segments.progress;"
        "print([m for m in ('rich', 'click', 'pygments') if m in sys.modules])"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout == "[]\n"


@pytest.mark.parametrize(
    "arguments",
    [
        ["check", "--config", "a.yaml", "--config", "b.yaml"],
        ["check", "-c", "a.yaml", "--config=b.yaml"],
        ["dlq", "list", "--limit", "1", "--limit", "2"],
        ["users", "choices", "list", "--account", "a", "--account", "b"],
    ],
)
def test_an_option_that_counts_once_is_not_given_twice(capsys, arguments):
    end = ended(capsys, *arguments)
    assert end.status == ExitStatus.USAGE
    assert "is given 2 times" in end.err


@pytest.mark.parametrize(
    ("arguments", "name"),
    [
        (["tap", "--topic", "\udcff"], "--topic"),
        (["tap", "--account", "a\udcff"], "--account"),
        (["dlq", "list", "--code", "http_422", "--code", "\udcff"], "--code"),
        (["users", "profile", "set", "name=\udcff", "--account", "a"], "NAME=TEXT"),
    ],
)
def test_text_that_is_not_utf_8_is_refused_before_anything_is_done(capsys, arguments, name):
    end = ended(capsys, *arguments)
    assert end.status == ExitStatus.USAGE
    assert f"Invalid value for '{name}" in end.err
    assert "not UTF-8 text" in end.err


@pytest.mark.parametrize(
    "command",
    [["schema", "relay.v1"], ["map", "preset", "segment"], ["--help"]],
    ids=" ".join,
)
def test_a_reader_that_leaves_is_no_defect(command):
    """As in `relay … | head`: the pipe is closed before anything is written."""
    relay = subprocess.Popen(
        [sys.executable, "-m", "relay", *command], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    relay.stdout.close()
    with relay.stderr as said:
        assert said.read() == b""
    assert relay.wait() == ExitStatus.OUTPUT_CLOSED


def test_a_reader_that_leaves_is_no_defect_inside_a_task_group_either(monkeypatch, failing):
    read, write = os.pipe()
    os.close(read)
    out = os.dup(1)
    failing(BaseExceptionGroup("tasks", [BrokenPipeError()]))
    try:
        os.dup2(write, 1)
        with pytest.raises(SystemExit) as caught:
            cli.main(["fail"])
    finally:
        os.dup2(out, 1)
        os.close(out)
        os.close(write)
    assert caught.value.code == ExitStatus.OUTPUT_CLOSED


def test_a_broken_connection_is_not_taken_for_a_reader_that_left(capsys, failing):
    failing(ExceptionGroup("tasks", [BrokenPipeError()]))
    end = ended(capsys, "fail")
    assert end.status == ExitStatus.BUG


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_a_shell_can_complete_commands(monkeypatch, shell):
    monkeypatch.setenv("_TYPER_COMPLETE_TEST_DISABLE_SHELL_DETECTION", "1")
    script = subprocess.run(
        [sys.executable, "-m", "relay", "--show-completion", shell],
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    assert "_RELAY_COMPLETE=complete_" + shell in script


def test_completion_offers_the_commands_that_fit(monkeypatch):
    monkeypatch.setenv("_RELAY_COMPLETE", "complete_bash")
    monkeypatch.setenv("COMP_WORDS", "relay s")
    monkeypatch.setenv("COMP_CWORD", "1")
    found = subprocess.run(
        [sys.executable, "-m", "relay"], capture_output=True, text=True, check=True
    )
    assert found.stdout.split() == ["status", "send", "sandbox", "schema", "segments"]
