"""Airflow's database: a PostgreSQL of the sandbox's own, run by the system user that the distribution's package makes.

It listens on a Unix socket alone, in a folder that only that user and the sandbox's owner may enter. Its data lies
outside the state folder, which is closed to that user; a word in both says that they belong together.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import os
import pwd
import secrets
import shutil
from collections.abc import Mapping
from pathlib import Path

from nightferry.entities.reason import Reason
from nightferry.errors import Permanent
from nightferry.sandbox import secrets_files
from nightferry.sandbox.layout import Layout
from nightferry.sandbox.machine import commands, orphans, packages
from nightferry.sandbox.machine.privileges import as_user
from nightferry.sandbox.progress import Progress, run_logged
from nightferry.sandbox.supervise.parts import Part
from nightferry.sandbox.supervise.probes import Command
from nightferry.sandbox.supervise.supervision import Supervisor

PART = "postgresql"
USER = "postgres"
"""The system user, and the database's own administrator."""
NAME = "airflow"
"""The database, and the role that owns it."""
ACCESS = f"""# Written by `nightferry up`.
local all {USER} peer
local {NAME} {NAME} scram-sha-256
"""
OPTIONS: Mapping[str, str] = {
    "listen_addresses": "",
    # Each of Airflow's processes keeps up to 15 for its tasks and as many for its loop.
    "max_connections": "200",
    # Short questions are not worth a compiler.
    "jit": "off",
    "log_line_prefix": "%m [%p] ",
}
SETUP = r"""
SELECT 'CREATE ROLE airflow LOGIN' WHERE NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'airflow') \gexec
ALTER ROLE airflow PASSWORD '%s';
SELECT 'CREATE DATABASE airflow OWNER airflow'
    WHERE NOT EXISTS (SELECT FROM pg_database WHERE datname = 'airflow') \gexec
"""


def url(layout: Layout) -> str:
    """The database's address for Airflow, without the password."""
    return f"postgresql+psycopg2://{NAME}@/{NAME}?host={layout.database_socket}"


def word(layout: Layout) -> str:
    """The word that says which data belongs to this state folder; empty where none was made yet."""
    try:
        return (layout.home / "airflow" / "database").read_text(encoding="utf-8").strip()
    except FileNotFoundError:
        return ""


def prepare(layout: Layout, supervisor: Supervisor, base: Mapping[str, str], progress: Progress) -> Part:
    """The server, its data there. What does not belong to this state folder, or nothing here can read, is made anew.

    Args:
        base: the environment that all parts share.

    Raises:
        StepFailed: the data cannot be made.
    """
    process = supervisor.processes().get(PART)
    runs = process is not None and process.running
    folder = programs(layout)
    if folder is None:
        supervisor.stop([PART])
        folder = next(iter(packages.postgresql().values()))
        make(layout, folder, base, progress)
    elif not runs:
        forget_the_dead(layout)
    return part(layout, folder)


def programs(layout: Layout) -> Path | None:
    """The programs for the data that is there; None where there is no data, or another state folder's."""
    try:
        belongs = (layout.database / "sandbox").read_text(encoding="utf-8").strip() == word(layout) != ""
        version = (layout.database / "data" / "PG_VERSION").read_text(encoding="ascii").strip()
    except FileNotFoundError:
        return None
    return packages.postgresql().get(version) if belongs else None


def make(layout: Layout, programs: Path, base: Mapping[str, str], progress: Progress) -> None:
    """Make an empty database server's data; what was there goes. See `prepare`."""
    log, folder = layout.log("airflow-database"), layout.database
    with progress.step("make PostgreSQL's data", log=log, expected=3):
        if folder.exists():
            shutil.rmtree(folder)
        folder.mkdir(parents=True)
        for path in (layout.data, folder):
            path.chmod(0o755)
        data = folder / "data"
        data.mkdir(mode=0o700)
        _give(data)
        options = [f"--pgdata={data}", f"--username={USER}", "--auth=reject", "--encoding=UTF8", "--locale=C.UTF-8"]
        run_logged([*as_user(USER), programs / "initdb", *options], log, base, cwd=folder)
        # Last: what a kill left half is made anew.
        name = secrets.token_hex(16)
        layout.folder("airflow", owned=True)
        layout.write(layout.home / "airflow" / "database", name, owned=True)
        layout.write(folder / "sandbox", name)


def part(layout: Layout, folder: Path) -> Part:
    """The server.

    Args:
        folder: its programs.
    """
    access = layout.database / "pg_hba.conf"
    layout.write(access, ACCESS, mode=0o644)
    layout.database_socket.mkdir(mode=0o750, exist_ok=True)
    layout.database_socket.chmod(0o750)
    _give(layout.database_socket, layout.owner.gid)
    given = {**OPTIONS, "hba_file": str(access), "unix_socket_directories": str(layout.database_socket)}
    data = layout.database / "data"
    return Part(
        name=PART,
        command=(
            str(folder / "postgres"),
            *("-D", str(data)),
            *(word for name, value in given.items() for word in ("-c", f"{name}={value}")),
        ),
        probe=Command((str(folder / "pg_isready"), "-h", str(layout.database_socket), "-d", NAME, "-U", NAME)),
        address=str(layout.database_socket),
        user=USER,
        folder=data,
        # It ends the connections that are open, and does not wait for them.
        stop_signal="INT",
    )


def forget_the_dead(layout: Layout) -> None:
    """Remove the note of a server that is gone: its number may be another program's by now, after a restart."""
    data = layout.database / "data"
    if not orphans.at_work(data, "postgres"):
        (data / "postmaster.pid").unlink(missing_ok=True)


def set_up(layout: Layout) -> None:
    """Make Airflow's role and database where they are missing, and set the role's password. The server runs.

    Raises:
        Permanent: (sandbox_failed) the server refuses.
    """
    # The server gets what checks the password, never the password: nothing that it logs can hold it.
    check = verifier(secrets_files.read(layout, "airflow-database"), secrets.token_bytes(16))
    folder = programs(layout)
    if folder is None:
        raise Permanent(Reason.SANDBOX_FAILED, f"PostgreSQL's data in {layout.database} went away: try again.")
    psql = [str(folder / "psql"), "-X", "-q", "-v", "ON_ERROR_STOP=1", "-h", str(layout.database_socket), "-d", USER]
    commands.run([*as_user(USER), *psql], give=SETUP % check)


def verifier(password: str, salt: bytes, rounds: int = 4096) -> str:
    """What PostgreSQL keeps of an ASCII password for scram-sha-256 (RFC 5803)."""
    salted = hashlib.pbkdf2_hmac("sha256", password.encode("ascii"), salt, rounds)
    stored = hashlib.sha256(hmac.digest(salted, b"Client Key", "sha256")).digest()
    server = hmac.digest(salted, b"Server Key", "sha256")
    salt_text, stored_text, server_text = (base64.b64encode(part).decode() for part in (salt, stored, server))
    return f"SCRAM-SHA-256${rounds}:{salt_text}${stored_text}:{server_text}"


def _give(path: Path, group: int | None = None) -> None:
    user = pwd.getpwnam(USER)
    os.chown(path, user.pw_uid, user.pw_gid if group is None else group)
