"""What every command shares: exit codes, one sentence on failure, no traceback."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from nightferry import __version__
from nightferry.cli import main
from nightferry.cli.exit_codes import of
from nightferry.clients import connect
from nightferry.entities.reason import Reason
from nightferry.errors import NightferryError, Permanent, Temporary

ROOT = Path(__file__).parents[3]


def test_a_failure_is_one_sentence_with_its_reason_and_no_traceback(capsys, ledger):
    ledger.fault = Temporary(Reason.STORAGE_UNAVAILABLE, "The storage does not answer.")

    assert main(["history", "digits"]) == 3
    assert capsys.readouterr() == ("", "nightferry: The storage does not answer. [storage_unavailable]\n")


def test_a_failure_is_json_too_for_programs(capsys, ledger):
    ledger.fault = Permanent(Reason.STORAGE_DENIED, "The storage refuses.")

    assert main(["history", "digits", "--json"]) == 3
    expected = {"error": {"reason": "storage_denied", "sentence": "The storage refuses."}}
    assert json.loads(capsys.readouterr().out) == expected


def test_an_unforeseen_fault_is_one_line_unless_asked_for_more(capsys, monkeypatch):
    def broken(settings: object) -> None:
        raise RuntimeError("never thought of")

    monkeypatch.setattr(connect, "ledger_store", broken)

    assert main(["history", "digits"]) == 70
    assert capsys.readouterr().err.count("\n") == 1
    monkeypatch.setenv("NIGHTFERRY_DEBUG", "1")
    with pytest.raises(RuntimeError):
        main(["history", "digits"])


def test_ctrl_c_ends_quietly(capsys, monkeypatch):
    def interrupted(settings: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(connect, "ledger_store", interrupted)

    assert main(["history", "digits"]) == 130
    assert "Traceback" not in capsys.readouterr().err


@pytest.mark.parametrize(
    "arguments",
    [[], ["no-such-command"], ["history"], ["release", "digits", "--wait", "--dry-run"], ["url", "digits", "moon"]],
)
def test_a_wrong_command_line_is_bad_input(arguments, capsys):
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    assert ended.value.code == 2


def test_it_says_its_version(capsys):
    with pytest.raises(SystemExit) as ended:
        main(["--version"])
    assert ended.value.code == 0
    assert capsys.readouterr().out == f"nightferry {__version__}\n"


def test_a_missing_setting_names_itself_and_what_to_do(capsys):
    assert main(["history", "digits"]) == 2
    assert "NIGHTFERRY_STORAGE_URL" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("fault", "code"),
    [
        (Permanent(Reason.LEDGER_BROKEN, ""), 1),
        (Permanent(Reason.SERVICE_UNKNOWN, ""), 2),
        (Permanent(Reason.MODEL_MANIFEST_INVALID, ""), 2),
        (Permanent(Reason.AIRFLOW_DENIED, ""), 3),
        (Permanent(Reason.SANDBOX_FAILED, ""), 3),
        (Temporary(Reason.CLUSTER_UNAVAILABLE, ""), 3),
    ],
)
def test_the_exit_code_tells_bad_input_from_an_outside_system(fault: NightferryError, code: int):
    assert of(fault) == code


def test_the_module_is_the_command(tmp_path: Path):
    done = subprocess.run(
        [sys.executable, "-m", "nightferry", "--version"],
        cwd=tmp_path,
        env={"PYTHONPATH": f"{ROOT / 'plugins'}:{ROOT}"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout) == (0, f"nightferry {__version__}\n")


def test_the_help_of_every_command_is_there(capsys):
    from nightferry.cli.commands import parser

    for words in _commands(parser()):
        with pytest.raises(SystemExit) as ended:
            main([*words, "--help"])
        assert ended.value.code == 0, words


def test_a_command_that_is_chosen_alone_has_the_help_of_all():
    from nightferry.cli.commands import parser

    assert parser(["--help"]).format_help() == parser(["--no-color", "show", "x"]).format_help()
    assert parser([]).format_help() == parser().format_help()
    for words in (["url"], ["models", "publish"], ["logs"]):
        assert _help(parser(words), words) == _help(parser(), words)


def _help(parser, words):
    for word in words:
        (commands,) = (action for action in parser._actions if action.nargs == "A...")
        parser = commands.choices[word]
    return parser.format_help()


def test_help_loads_nothing_that_takes_long(tmp_path: Path):
    words = "import sys; sys.argv = ['nightferry', '--help']; import nightferry.cli as cli\n"
    words += "try: cli.main()\nexcept SystemExit: print(*sorted(sys.modules), file=sys.stderr)"
    done = subprocess.run(
        [sys.executable, "-c", words],
        cwd=tmp_path,
        env={"PYTHONPATH": f"{ROOT / 'plugins'}:{ROOT}"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert "usage: nightferry" in done.stdout
    loaded = set(done.stderr.split())
    assert "nightferry.cli.commands" in loaded
    assert not loaded & {"pydantic", "pydantic_settings", "yaml", "rich", "requests", "azure", "nightferry.settings"}


def test_a_package_that_is_missing_is_one_line(capsys, monkeypatch):
    def lacking(settings: object) -> None:
        raise ModuleNotFoundError("No module named 'azure'", name="azure")

    monkeypatch.setattr(connect, "ledger_store", lacking)

    assert main(["history", "digits"]) == 2
    said = capsys.readouterr().err
    assert "azure" in said
    assert said.count("\n") == 1


def _commands(parser, words=()):
    yield list(words)
    for action in parser._actions:
        if getattr(action, "choices", None) and action.nargs == "A...":
            for name, child in action.choices.items():
                yield from _commands(child, (*words, name))
