"""The members that model.json has in every format."""

from __future__ import annotations

import datetime as dt
import re
from typing import Any

from serving_app.model_format.manifest import MANIFEST, ModelFile
from serving_app.model_format.members import ManifestFault, Members

SERVICE = re.compile(r"[a-z]([-a-z0-9]*[a-z0-9])?")
VERSION = re.compile(r"[A-Za-z0-9][-_.A-Za-z0-9]*")
SHA256 = re.compile(r"[0-9a-f]{64}")
TIME = re.compile(r"\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d(:\d\d(\.\d+)?)?([Zz]|[-+]\d\d:?\d\d)")
"""RFC 3339, and what is nearly that."""


def common(document: Members, file: re.Pattern[str]) -> dict[str, Any]:
    """Everything but what a format has of its own, as `ModelManifest` takes it.

    Args:
        document: model.json.
        file: what a file's name may be.

    Raises:
        ManifestFault: one of the members is missing or wrong.
    """
    return {
        "service": document.text("service", SERVICE, 'lower-case letters, digits and "-"', 40),
        "version": document.text("version", VERSION, 'a text of letters, digits, "-", "_" and "."', 80),
        "created": _created(document),
        "author": _author(document),
        "commit": document.text("commit") if document.get("commit", None) is not None else None,
        "files": _files(document, file),
        "metrics": document.mapping("metrics"),
        "golden": _golden(document),
    }


def _created(document: Members) -> dt.datetime:
    wanted = "a time with its zone, as 2026-11-21T13:00:00Z"
    text = document.text("created", TIME, wanted)
    try:
        created = dt.datetime.fromisoformat(text.upper())
        created.astimezone(dt.UTC)
    except (ValueError, OverflowError) as error:
        raise ManifestFault(f"created is {text!r}; give {wanted}") from error
    return created


def _author(document: Members) -> str:
    author = document.get("author")
    if not isinstance(author, str):
        raise ManifestFault("author is not a text")
    return author


def _files(document: Members, name: re.Pattern[str]) -> tuple[ModelFile, ...]:
    files: dict[str, ModelFile] = {}
    for i, entry in enumerate(document.items("files")):
        members = Members(entry, f"files[{i}]", ("name", "size", "sha256"))
        file = ModelFile(
            members.text("name", name, 'a path in the folder, of letters, digits, "-", "_", "." and "/"'),
            members.whole("size", low=0),
            members.text("sha256", SHA256, "64 hexadecimal digits"),
        )
        if file.name in files:
            raise ManifestFault(f"files: {file.name} is there twice")
        if file.name == MANIFEST:
            raise ManifestFault(f"files: {MANIFEST} lists the other files, not itself")
        files[file.name] = file
    if not files:
        raise ManifestFault("files is empty")
    return tuple(files.values())


def _golden(document: Members) -> tuple[dict[str, Any], ...]:
    golden = document.items("golden", [])
    for i, example in enumerate(golden):
        if not isinstance(example, dict):
            raise ManifestFault(f"golden[{i}] is not an object")
    return tuple(golden)
