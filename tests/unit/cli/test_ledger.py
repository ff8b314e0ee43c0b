"""Looking after the record on the command line: ledger verify, ledger export."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from nightferry.cli import main
from nightferry.clients import connect
from nightferry.steps.record import ledger as ledgers

from tests.fakes.a_release import a_decision, decided, released
from tests.fakes.old_ledgers import SCHEMA_1, of_schema_1, written_by_a_newer_version


@pytest.fixture
def whole(ledger, clock, services):
    """A ledger with one release."""
    released(ledger, clock, decided(ledger, clock, a_decision()))
    return ledger


@pytest.fixture
def file(whole, tmp_path: Path, capsys) -> Path:
    """That ledger in a file."""
    target = tmp_path / "digits.jsonl"
    assert main(["ledger", "export", "digits", str(target)]) == 0
    capsys.readouterr()
    return target


@pytest.fixture
def offline(monkeypatch: pytest.MonkeyPatch) -> None:
    """There is no storage, and no setting that says where it is."""

    def none(settings: object) -> None:
        raise AssertionError("the storage was asked for")

    monkeypatch.setattr(connect, "ledger_store", none)


def head_of(store) -> str:
    newest = ledgers.Chain(store, "digits").head
    assert newest is not None
    return f"{newest.sequence}:{newest.digest}"


def test_a_whole_ledger_verifies(capsys, whole):
    assert main(["ledger", "verify", "digits", "--json"]) == 0
    verified = json.loads(capsys.readouterr().out)
    assert (verified["whole"], verified["count"], verified["strays"]) == (True, len(whole.blobs), [])


def test_a_changed_byte_is_named_and_not_well(capsys, whole):
    name = "digits/000000000003.json"
    whole.blobs[name] = whole.blobs[name].replace(b"ada", b"eve", 1)

    assert main(["ledger", "verify", "digits"]) == 1
    told = capsys.readouterr().err
    assert name in told
    assert "[ledger_broken]" in told


def test_a_stray_blob_is_named_and_the_chain_is_whole(capsys, whole):
    whole.blobs["digits/000000099999.json"] = b"a note"

    assert main(["ledger", "verify", "digits"]) == 0
    assert "digits/000000099999.json" in capsys.readouterr().out
    assert main(["history", "digits"]) == 0


def test_what_a_newer_version_wrote_is_not_called_broken(capsys, whole):
    newest = ledgers.Chain(whole, "digits").head
    assert newest is not None
    written_by_a_newer_version(whole, newest)

    assert main(["ledger", "verify", "digits"]) == 0
    assert "newer version" in capsys.readouterr().out
    assert main(["history", "digits"]) == 0


def test_a_cut_end_is_seen_against_a_noted_head(capsys, whole):
    head = head_of(whole)
    assert main(["ledger", "verify", "digits", "--head", head]) == 0
    del whole.blobs[max(whole.blobs)]

    assert main(["ledger", "verify", "digits"]) == 0
    for noted in (head, head.partition(":")[2]):
        assert main(["ledger", "verify", "digits", "--head", noted]) == 1
        assert "[ledger_broken]" in capsys.readouterr().err


@pytest.mark.parametrize("head", ["", "19", "19:", "abc", "0:" + "a" * 64, "-1:" + "a" * 64, "a" * 63, "x" * 64])
def test_a_head_that_is_none_is_bad_input(head, whole):
    with pytest.raises(SystemExit) as ended:
        main(["ledger", "verify", "digits", f"--head={head}"])
    assert ended.value.code == 2


@pytest.mark.parametrize("command", [["verify", "digist"], ["export", "digist", "x"], ["verify"]])
def test_a_service_that_is_misspelt_or_not_named_is_bad_input(command, capsys, ledger, services):
    assert main(["ledger", *command]) == 2


def test_a_service_without_entries(capsys, ledger, services, tmp_path: Path):
    assert main(["ledger", "verify", "digits"]) == 0
    assert main(["ledger", "export", "digits", str(tmp_path / "x")]) == 2
    assert "[request_invalid]" in capsys.readouterr().err
    assert not (tmp_path / "x").exists()


@pytest.mark.usefixtures("offline")
def test_an_exported_ledger_verifies_without_the_storage(capsys, whole, file):
    head = head_of(whole)
    for more in ([], ["--head", head], ["--head", head.partition(":")[2]]):
        assert main(["ledger", "verify", "--file", str(file), *more]) == 0
    capsys.readouterr()
    assert main(["ledger", "verify", "digits", "--file", str(file), "--json"]) == 0
    verified = json.loads(capsys.readouterr().out)
    assert (verified["service"], f"{verified['count']}:{verified['head']}") == ("digits", head)


def test_the_file_holds_the_stored_bytes_and_is_the_same_each_time(whole, file, tmp_path: Path):
    assert file.read_bytes().splitlines()[1:] == [whole.blobs[name] for name in sorted(whole.blobs)]
    whole.blobs["digits/note.json"] = b"a stray"
    assert main(["ledger", "export", "digits", str(tmp_path / "again")]) == 0
    assert (tmp_path / "again").read_bytes() == file.read_bytes()


def test_a_file_is_not_written_over(capsys, whole, clock, file):
    before = file.read_bytes()
    ledgers.append_with(whole, clock, "digits", lambda chain: facts())
    assert main(["ledger", "export", "digits", str(file)]) == 2
    assert "--force" in capsys.readouterr().err
    assert file.read_bytes() == before

    assert main(["ledger", "export", "digits", str(file), "--force"]) == 0
    assert file.read_bytes() != before
    assert [place.name for place in file.parent.iterdir() if place.is_file()] == [file.name]


def test_a_broken_ledger_leaves_no_file(capsys, whole, tmp_path: Path):
    name = "digits/000000000003.json"
    whole.blobs[name] = whole.blobs[name].replace(b"ada", b"eve", 1)
    target = tmp_path / "digits.jsonl"

    assert main(["ledger", "export", "digits", str(target)]) == 1
    assert name in capsys.readouterr().err
    assert [place for place in tmp_path.iterdir() if place.is_file()] == []


def test_a_folder_that_is_not_there_is_bad_input(capsys, whole, tmp_path: Path):
    assert main(["ledger", "export", "digits", str(tmp_path / "no" / "where")]) == 2
    assert "where" in capsys.readouterr().err


def cut(lines: list[bytes]) -> list[bytes]:
    return lines[:-1]


def cut_and_said_so(lines: list[bytes]) -> list[bytes]:
    """By someone who knows the file's form; only a noted head shows it."""
    last = json.loads(lines[-2])
    said = json.loads(lines[0]) | {"count": last["sequence"], "head": last["digest"]}
    return [json.dumps(said).encode() + b"\n", *lines[1:-1]]


def changed(lines: list[bytes]) -> list[bytes]:
    return [*lines[:3], lines[3].replace(b"ada", b"eve", 1), *lines[4:]]


def dropped(lines: list[bytes]) -> list[bytes]:
    return [*lines[:3], *lines[4:]]


def swapped(lines: list[bytes]) -> list[bytes]:
    return [*lines[:3], lines[4], lines[3], *lines[5:]]


def lengthened(lines: list[bytes]) -> list[bytes]:
    return [*lines, lines[-1]]


def torn(lines: list[bytes]) -> list[bytes]:
    return [*lines[:-1], lines[-1][:40]]


@pytest.mark.usefixtures("offline")
@pytest.mark.parametrize("change", [cut, changed, dropped, swapped, lengthened, torn, cut_and_said_so])
def test_a_file_that_was_changed_is_not_well(change, capsys, whole, file):
    head = head_of(whole)
    file.write_bytes(b"".join(change(file.read_bytes().splitlines(keepends=True))))
    noted = ["--head", head] if change is cut_and_said_so else []
    assert main(["ledger", "verify", "--file", str(file), *noted]) == 1
    assert "[ledger_broken]" in capsys.readouterr().err


@pytest.mark.usefixtures("offline")
@pytest.mark.parametrize(
    "content",
    [b"", b"\n", b"hello", b"[]", b'{"export":2,"service":"digits","count":1,"head":""}', b"\xff\xfe", b"[" * 100_000],
)
def test_a_file_that_is_no_exported_ledger_is_bad_input(content, capsys, tmp_path: Path):
    (tmp_path / "x").write_bytes(content)
    assert main(["ledger", "verify", "--file", str(tmp_path / "x")]) == 2
    assert "[request_invalid]" in capsys.readouterr().err


@pytest.mark.usefixtures("offline")
def test_a_file_that_is_not_there_or_of_another_service_is_bad_input(capsys, file, tmp_path: Path):
    for command in (["--file", str(tmp_path / "none")], ["--file", str(tmp_path)], ["letters", "--file", str(file)]):
        assert main(["ledger", "verify", *command]) == 2
        assert "[request_invalid]" in capsys.readouterr().err


def test_a_ledger_of_before_goes_through_a_file(capsys, monkeypatch, services, tmp_path: Path):
    store = of_schema_1()
    monkeypatch.setattr(connect, "ledger_store", lambda settings: store)
    assert main(["history", "digits"]) == 0
    assert main(["show", "digits-2026-11-21.1"]) == 0
    assert main(["ledger", "export", "digits", str(tmp_path / "x")]) == 0
    assert (tmp_path / "x").read_bytes().split(b"\n", 1)[1] == SCHEMA_1.read_bytes()
    assert main(["ledger", "verify", "--file", str(tmp_path / "x")]) == 0


def facts() -> dict[str, object]:
    return {
        "kind": "step",
        "key": "more",
        "release": None,
        "actor": "ada",
        "reason": "succeeded",
        "sentence": "",
        "data": {},
    }
