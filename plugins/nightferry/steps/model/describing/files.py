"""Make a version's folder of a model that only its app opens: any file or folder."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from nightferry.clients.clock import Clock
from nightferry.clients.doors.model_repository import ModelListing
from nightferry.clients.person import me
from nightferry.entities.model_version import FILES, FILES_FILE, LONGEST, MANIFEST, WHOLE
from nightferry.entities.reason import Reason
from nightferry.errors import Permanent
from nightferry.steps.model.describing.exchange_lines import read_exchange_lines
from nightferry.steps.model.describing.said import Said
from nightferry.steps.model.describing.version_folder import (
    Described,
    author_note,
    link_files,
    listed,
    named,
    stamp,
    write_manifest,
)

CACHES = "__pycache__"
"""Python writes it; it is another one at each reading."""
_OF_ONNX = ("labels", "scores", "image", "answer")
"""What can be said of a model that the stock service opens."""


def describe_files(
    path: Path, service: str, said: Said, published: Sequence[ModelListing], clock: Clock, folder: Path
) -> Described:
    """Write the folder of a version: links to the model's files, copies where that cannot be, and model.json. Nothing
    of the model is opened.

    Hidden files, and what Python caches, are left out. A file keeps its name and is the model; of a folder the whole
    folder is.

    Args:
        path: a file, or a folder; otherwise as in `describe`.
        service: as there, like the rest.
        said: with examples that are JSON lines, an exchange each.
        published: the versions that there are.
        clock: the day.
        folder: an empty folder to write into.

    Raises:
        Permanent: (model_not_found, model_incomplete, model_manifest_invalid, model_examples_wrong)
    """
    refuse_of_onnx(said, service)
    files = model_files(path)
    golden = read_exchange_lines(said.examples) if said.examples else []
    link_files(files, folder, path)
    document: dict[str, Any] = {
        "format": FILES,
        "service": service,
        "version": said.version or "described",
        "created": stamp(clock.now()),
        "author": said.author or me("--author"),
        "files": [listed(name, folder / name) for name in sorted(files)],
        "model": WHOLE if path.is_dir() else path.name,
        "metrics": dict(said.metrics),
        "golden": golden,
    }
    document |= named(document, said, published, clock)
    write_manifest(folder, document, path)
    notes = author_note(document, said)
    if not golden:
        notes.append("No examples: nothing is compared when a release is tested. Give some with --examples.")
    return Described(folder, document, tuple(notes))


def refuse_of_onnx(said: Said, service: str) -> None:
    """Refuse what can be said of a model in ONNX alone.

    Raises:
        Permanent: (model_manifest_invalid)
    """
    given = next((name for name in _OF_ONNX if getattr(said, name)), None)
    if given:
        raise _invalid(
            f"{given} is said of a model in ONNX that the stock service opens; {service} has an app of its own, which "
            "alone opens this one, so leave it out"
        )


def model_files(path: Path) -> dict[str, Path]:
    """Name in the version's folder -> file.

    Raises:
        Permanent: (model_not_found, model_incomplete, model_manifest_invalid)
    """
    if path.is_file():
        found = {path.name: path}
    elif path.is_dir():
        found = {
            place.relative_to(path).as_posix(): place
            for place in sorted(path.rglob("*"))
            if not any(part.startswith(".") or part == CACHES for part in place.relative_to(path).parts)
            and (place.is_symlink() or not place.is_dir())
        }
    elif path.exists():
        raise Permanent(Reason.MODEL_NOT_FOUND, f"{path} is neither a file nor a folder.")
    else:
        raise Permanent(Reason.MODEL_NOT_FOUND, f"{path} does not exist; give a model's file or folder.")
    if not found:
        raise Permanent(Reason.MODEL_NOT_FOUND, f"{path} has no files in it; give a model's file or folder.")
    for name, place in found.items():
        if path.is_dir():
            _check_kind(place, path)
        _check_name(name, place)
        _check_size(name, place)
    return found


def _check_kind(place: Path, folder: Path) -> None:
    if place.is_symlink() and not place.exists():
        raise _invalid(f"{place} is a link to nothing; put the file itself there")
    if place.is_dir():
        raise _invalid(f"{place} is a link to a folder; put the folder itself there")
    if not place.resolve().is_relative_to(folder.resolve()):
        raise _invalid(f"{place} leads to a file outside the folder; put that file itself there")
    if not place.is_file():
        raise _invalid(f"{place} is no file; leave it out")


def _check_name(name: str, place: Path) -> None:
    if name == MANIFEST:
        raise _invalid(f"{place}: {MANIFEST} is what describes a model, so no file of it has that name; rename it")
    if FILES_FILE.fullmatch(name):
        return
    part = next(one for one in name.split("/") if not FILES_FILE.fullmatch(one))
    if len(part) > LONGEST:
        raise _invalid(
            f"{place}: the name {part[:20]}… has {len(part)} characters, and {LONGEST} are allowed; rename it"
        )
    raise _invalid(
        f'{place}: the name {part!r} is not made of the letters a to z, digits, "-", "_" and "." (at the beginning a '
        'letter, a digit or "_"); rename it'
    )


def _check_size(name: str, place: Path) -> None:
    """Empty modules are usual in Python, empty models are what a program leaves that was ended."""
    try:
        size = place.stat().st_size
    except OSError as fault:
        raise Permanent(Reason.MODEL_INCOMPLETE, f"{place} cannot be read: {fault.strerror}.") from fault
    if not size and not name.endswith(".py"):
        raise Permanent(Reason.MODEL_INCOMPLETE, f"{place} has 0 bytes; write it again, or leave it out.")


def _invalid(fact: str) -> Permanent:
    return Permanent(Reason.MODEL_MANIFEST_INVALID, f"{fact}.")
