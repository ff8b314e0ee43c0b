"""A version's folder, as it is made of a model that has none: links to its files, and model.json."""

from __future__ import annotations

import datetime as dt
import hashlib
import json
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nightferry.clients.clock import Clock
from nightferry.clients.doors.model_repository import ModelListing
from nightferry.entities.model_version import MANIFEST, ManifestFault, parse_manifest
from nightferry.entities.reason import Reason
from nightferry.errors import Permanent
from nightferry.steps.model.describing.said import Said
from nightferry.steps.model.model_folder import file_sha256, manifest_reason


@dataclass(frozen=True)
class Described:
    """A version's folder, ready to be published."""

    folder: Path
    document: dict[str, Any]
    """Its model.json."""
    notes: tuple[str, ...]
    """Sentences about what was taken for granted."""


def link_files(files: Mapping[str, Path], folder: Path, path: Path) -> None:
    """Link files into a version's folder, or copy them where that cannot be.

    Args:
        files: name in the folder -> file.
        folder: the version's.
        path: where the model came from.

    Raises:
        Permanent: (model_incomplete) one cannot be read.
    """
    for name, source in files.items():
        target = folder / name
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            try:
                target.hardlink_to(source.resolve())
            except OSError:
                shutil.copyfile(source, target)
        except OSError as fault:
            raise Permanent(
                Reason.MODEL_INCOMPLETE, f"{source} of {path} cannot be read: {fault.strerror or fault}."
            ) from fault


def listed(name: str, path: Path) -> dict[str, Any]:
    """A file as model.json lists it."""
    return {"name": name, "size": path.stat().st_size, "sha256": file_sha256(path)}


def write_manifest(folder: Path, document: Mapping[str, Any], path: Path) -> None:
    """Write model.json.

    Raises:
        Permanent: (model_manifest_invalid, model_labels_wrong) it could not be read again.
    """
    content = (json.dumps(document, indent=2, ensure_ascii=False) + "\n").encode()
    try:
        parse_manifest(content)
    except ManifestFault as fault:
        raise Permanent(manifest_reason(fault), f"{path} cannot be published so: {fault}.") from fault
    (folder / MANIFEST).write_bytes(content)


def named(document: Mapping[str, Any], said: Said, published: Sequence[ModelListing], clock: Clock) -> dict[str, str]:
    """Version, time and author: those of the version that has the same content, if there is one."""
    content = {name: value for name, value in document.items() if name not in ("version", "created", "author")}
    digest = hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:8]
    for one in published:
        if one.version == said.version or (not said.version and one.version.endswith(f"-{digest}")):
            return {
                "version": one.version,
                "created": stamp(dt.datetime.fromisoformat(one.created)),
                "author": one.author,
            }
    return {"version": said.version or f"{clock.now():%Y-%m-%d}-{digest}"}


def stamp(time: dt.datetime) -> str:
    """A time as it is written, whoever read it in between: the same version has the same bytes."""
    return time.astimezone(dt.UTC).isoformat(timespec="seconds").replace("+00:00", "Z")


def author_note(document: Mapping[str, Any], said: Said) -> list[str]:
    """A sentence where somebody else published the same before."""
    if not said.author or said.author == document["author"]:
        return []
    return [f"{document['author']} published this version before, and stays its author."]
