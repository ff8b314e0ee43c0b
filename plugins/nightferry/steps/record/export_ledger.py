"""A chain in one file: for a backup, and for whoever verifies it without access to the storage.

The first line says what the file holds: `{"count":…,"export":1,"head":"<digest>","service":…}`. Each line after it
is an entry, byte for byte as it is stored. The same chain always gives the same file.
"""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

from nightferry.clients.doors.ledger_store import LedgerStore
from nightferry.clients.full_disk import full_disk
from nightferry.entities.ledger_entry import LedgerEntry, canonical
from nightferry.entities.reason import Reason
from nightferry.errors import Permanent
from nightferry.steps.record.stored_entry import broken, parse
from nightferry.steps.record.verify_ledger import (
    NotedHead,
    Progress,
    VerifiedChain,
    entries_of,
    linked,
    sorted_out,
    summed_up,
)

FORMAT = 1


def export(
    store: LedgerStore, service: str, file: Path, *, force: bool = False, progress: Progress | None = None
) -> VerifiedChain:
    """Write a whole chain to a file, all of it or nothing; every link is checked on the way.

    Args:
        store: where from.
        service: the chain; it has entries.
        file: where to.
        force: write over a file that is there.
        progress: told after every entry.

    Raises:
        Permanent: (request_invalid) there is a file of that name, or none can be written there; (disk_full)
        Raises as `verify` too.
    """
    if file.exists() and not force:
        raise _taken(file)
    count, strays = sorted_out(store, service)
    if not count:
        raise Permanent(
            Reason.REQUEST_INVALID, f"The ledger of {service} has no entries yet: there is nothing to export."
        )
    newest = LedgerEntry.name(service, count)
    head = parse(newest, store.read(newest)).digest
    with full_disk(file.parent):
        try:
            return _write(store, service, file, (count, head, strays), force=force, progress=progress)
        except FileExistsError as fault:
            raise _taken(file) from fault
        except (FileNotFoundError, NotADirectoryError, IsADirectoryError, PermissionError) as fault:
            raise Permanent(Reason.REQUEST_INVALID, f"{file} cannot be written: {fault.strerror}.") from fault


def verify_file(
    file: Path, service: str | None = None, noted: NotedHead | None = None, progress: Progress | None = None
) -> tuple[str, VerifiedChain]:
    """Check every link of a chain in a file; its service, and what is to be said about it.

    Args:
        file: what `export` wrote.
        service: whose chain it has to be; None for any.
        noted: a head that was noted before; the chain has to hold it.
        progress: told after every entry.

    Raises:
        Permanent: (request_invalid) there is no such file, it is no exported ledger or another service's;
            (ledger_broken, ledger_newer) as `verify`.
    """
    try:
        with file.open("rb") as stream:
            whose, count, head = _header(file, stream.readline(), service)
            entries = linked(whose, _lines(whose, count, stream))
            chain = summed_up(noted.check(entries, whose) if noted else entries, (), count, progress)
    except OSError as fault:
        raise Permanent(Reason.REQUEST_INVALID, f"{file} cannot be read: {fault.strerror}.") from fault
    if chain.head != head:
        raise broken(LedgerEntry.name(whose, count), f"the file's first line says that its digest is {head}")
    return whose, chain


def _write(
    store: LedgerStore,
    service: str,
    file: Path,
    known: tuple[int, str, tuple[str, ...]],
    *,
    force: bool,
    progress: Progress | None,
) -> VerifiedChain:
    count, head, strays = known
    handle, part = tempfile.mkstemp(prefix=f".{file.name}.", dir=file.parent)
    try:
        with os.fdopen(handle, "wb") as stream:
            stream.write(canonical({"export": FORMAT, "service": service, "count": count, "head": head}) + b"\n")
            entries = _copied(linked(service, entries_of(store, service, count)), stream)
            chain = summed_up(entries, strays, count, progress)
            stream.flush()
            os.fsync(stream.fileno())
        if force:
            Path(part).replace(file)
        else:
            file.hardlink_to(part)  # unlike a rename, it refuses where someone else has written meanwhile
    finally:
        Path(part).unlink(missing_ok=True)
    return chain


def _copied(entries: Iterator[tuple[LedgerEntry, bytes]], stream: IO[bytes]) -> Iterator[tuple[LedgerEntry, bytes]]:
    for entry, content in entries:
        stream.write(content + b"\n")  # canonical JSON has no line ends of its own
        yield entry, content


def _header(file: Path, line: bytes, service: str | None) -> tuple[str, int, str]:
    try:
        said: Any = json.loads(line)
        form, whose, count, head = (said[name] for name in ("export", "service", "count", "head"))
    except (ValueError, TypeError, LookupError, RecursionError) as fault:
        raise Permanent(Reason.REQUEST_INVALID, f"{file} is not what `nightferry ledger export` writes.") from fault
    if form != FORMAT:
        raise Permanent(
            Reason.REQUEST_INVALID,
            f"{file} is an export of form {form}; this version of Nightferry reads form {FORMAT}. Use a newer version.",
        )
    if service not in (None, whose):
        raise Permanent(Reason.REQUEST_INVALID, f"{file} holds the ledger of {whose}, not of {service}.")
    return str(whose), int(count), str(head)


def _lines(service: str, count: int, stream: IO[bytes]) -> Iterator[tuple[str, bytes]]:
    number = 0
    for number, line in enumerate(stream, start=1):
        if number > count:
            raise broken(
                LedgerEntry.name(service, number), f"the file's first line says that there are {count} entries"
            )
        yield LedgerEntry.name(service, number), line.removesuffix(b"\n")
    if number < count:
        raise broken(LedgerEntry.name(service, number + 1), f"it is missing: the file was cut, it held {count} entries")


def _taken(file: Path) -> Permanent:
    return Permanent(
        Reason.REQUEST_INVALID, f"{file} is there already; choose another name, or write over it with --force."
    )
