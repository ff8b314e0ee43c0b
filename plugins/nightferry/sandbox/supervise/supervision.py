"""The supervisor: its configuration, and talking to it.

It keeps every part running and starts none by itself: `up` does, in the order of the parts' needs.
"""

from __future__ import annotations

import http.client
import os
import resource
import shlex
import subprocess
import sys
import time
import xmlrpc.client
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nightferry.entities.reason import Reason
from nightferry.errors import Permanent
from nightferry.sandbox.layout import Layout
from nightferry.sandbox.machine import orphans
from nightferry.sandbox.supervise.asking import UnixConnection, explain
from nightferry.sandbox.supervise.parts import Part

START_SECONDS = 10.0
"""How long the supervisor itself may take to answer."""
ALREADY_STARTED = 60
"""The supervisor's number for that answer."""


@dataclass(frozen=True)
class Process:
    """What the supervisor says of a part."""

    state: str
    pid: int
    started: float
    """Unix time, seconds."""

    @property
    def running(self) -> bool:
        """Whether it has been started and has not ended."""
        return self.state in {"STARTING", "RUNNING"} and self.pid > 0


def configuration(layout: Layout, parts: Sequence[Part]) -> str:
    """The supervisor's configuration file."""
    lines = [
        "[supervisord]",
        f"logfile = {_plain(layout.log('supervisord'))}",
        "logfile_maxbytes = 5MB",
        "logfile_backups = 1",
        f"pidfile = {_plain(layout.runtime / 'supervisord.pid')}",
        f"directory = {_plain(layout.home)}",
        f"childlogdir = {_plain(layout.home / 'logs')}",
        f"minfds = {_open_files()}",
        *(["user = root"] if os.geteuid() == 0 else []),
        "[rpcinterface:supervisor]",
        "supervisor.rpcinterface_factory = supervisor.rpcinterface:make_main_rpcinterface",
        "[unix_http_server]",
        f"file = {_plain(layout.socket)}",
        "chmod = 0700",
        f"chown = {layout.owner.name}",
    ]
    for part in parts:
        lines += _program(layout, part)
    return "\n".join(lines) + "\n"


def _program(layout: Layout, part: Part) -> list[str]:
    user = part.user or (layout.owner.name if part.owned and layout.owner.uid != 0 else "")
    return [
        f"[program:{part.name}]",
        f"command = {_plain(shlex.join(part.command))}",
        f"environment = {','.join(f'{name}={_quoted(value)}' for name, value in sorted(part.environment.items()))}",
        f"directory = {_plain(part.folder or layout.home)}",
        *([f"user = {user}"] if user else []),
        "autostart = false",
        "autorestart = true",
        "startsecs = 1",
        "startretries = 20",
        "stopasgroup = true",
        "killasgroup = true",
        f"stopsignal = {part.stop_signal}",
        f"stopwaitsecs = {part.stop_seconds}",
        f"stdout_logfile = {_plain(layout.log(part.name))}",
        "stdout_logfile_maxbytes = 20MB",
        "stdout_logfile_backups = 1",
        "redirect_stderr = true",
        "umask = 022",
    ]


def _plain(value: object) -> str:
    """A value as it must stand in the file, where % is special and a ; or # after a space begins a comment."""
    text = str(value)
    if "\n" in text or " ;" in text or " #" in text:
        raise ValueError(f"this cannot be handed to a supervised program: {text}")
    return text.replace("%", "%%")


def _quoted(value: str) -> str:
    """A value of `environment`, which supervisor splits by the rules of a shell without escapes."""
    quote = '"' if '"' not in value else "'"
    if quote in value or value[:1] in {'"', "'"} or value[-1:] in {'"', "'"}:
        raise ValueError("a value with both kinds of quotes cannot be handed to a supervised program")
    return f"{quote}{_plain(value)}{quote}"


def _open_files() -> int:
    """How many files the supervisor asks for: much, for the containers' programs, but not more than is allowed."""
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    return 65536 if most == resource.RLIM_INFINITY else min(65536, most)


class _Transport(xmlrpc.client.Transport):
    def __init__(self, path: Path) -> None:
        super().__init__()
        self._path = path

    def make_connection(self, host: Any) -> http.client.HTTPConnection:
        return UnixConnection(self._path, timeout=120)


class Supervisor:
    """The running supervisor of one sandbox, or the absence of one."""

    def __init__(self, layout: Layout) -> None:
        self._layout = layout
        self._file = layout.home / "supervisor" / "supervisord.conf"

    def _call(self, method: str, *arguments: object) -> Any:
        # A connection of its own for every call: calls come from several threads.
        with xmlrpc.client.ServerProxy("http://localhost", transport=_Transport(self._layout.socket)) as proxy:
            return getattr(proxy.supervisor, method)(*arguments)

    def answers(self) -> bool:
        """Whether it runs."""
        try:
            return bool(self._call("getState")["statename"] == "RUNNING")
        except (OSError, http.client.HTTPException, xmlrpc.client.Error):
            return False

    def pid(self) -> int:
        """The number of its process."""
        return int(self._call("getPID"))

    def add(self, parts: Sequence[Part], *, whole: bool = False) -> None:
        """Write the configuration, and tell the running supervisor of the parts that are new or changed in it.

        Args:
            parts: every part known so far.
            whole: there are no others: end what else the supervisor runs.
        """
        self._layout.write(self._file, configuration(self._layout, parts))
        if not self.answers():
            return
        added, changed, removed = self._call("reloadConfig")[0]
        for name in [*changed, *(removed if whole else [])]:
            self._call("stopProcessGroup", name)
            self._call("removeProcessGroup", name)
        for name in [*added, *changed]:
            self._call("addProcessGroup", name)

    def launch(self, environment: Mapping[str, str]) -> None:
        """Start the supervisor, where it does not run, with exactly this environment; returns when it answers.

        Raises:
            Permanent: (sandbox_failed) it does not start.
        """
        if self.answers():
            return
        self._layout.write(self._file, configuration(self._layout, []))
        self._layout.socket.unlink(missing_ok=True)
        command = [sys.executable, "-B", "-m", "supervisor.supervisord", "-c", str(self._file)]
        # It leaves the terminal and goes to the background by itself.
        done = subprocess.run(
            command,
            env=dict(environment),
            capture_output=True,
            text=True,
            check=False,
            cwd="/",
            stdin=subprocess.DEVNULL,
        )
        until = time.monotonic() + START_SECONDS
        while not self.answers():
            if done.returncode != 0 or time.monotonic() > until:
                log = self._layout.log("supervisord")
                said = (done.stderr or done.stdout).strip()
                raise Permanent(Reason.SANDBOX_FAILED, f"The supervisor does not start: {said or f'see {log}'}")
            time.sleep(0.02)

    def processes(self) -> dict[str, Process]:
        """Every part that it knows."""
        try:
            return {
                row["name"]: Process(row["statename"], int(row["pid"]), float(row["start"]))
                for row in self._call("getAllProcessInfo")
            }
        except (OSError, http.client.HTTPException, xmlrpc.client.Error):
            return {}

    def start(self, name: str) -> None:
        """Start a part; one that runs already is left alone.

        Raises:
            Permanent: (sandbox_failed) the supervisor cannot run it, or is gone.
        """
        try:
            self._call("startProcess", name, False)
        except xmlrpc.client.Fault as fault:
            if fault.faultCode != ALREADY_STARTED:
                raise Permanent(Reason.SANDBOX_FAILED, f"{name} cannot be started: {fault.faultString}") from fault
        except (OSError, http.client.HTTPException) as problem:
            sentence = (
                f"{name} cannot be started: the supervisor is gone ({explain(problem)}). Run `nightferry up` again."
            )
            raise Permanent(Reason.SANDBOX_FAILED, sentence) from problem

    def stop(self, names: Sequence[str]) -> None:
        """Stop parts together, and wait until all have ended."""
        try:
            for name in [name for name, process in self._busy(names).items() if process.state != "STOPPING"]:
                self._call("stopProcess", name, False)
            while self._busy(names):
                time.sleep(0.05)
        except (OSError, http.client.HTTPException, xmlrpc.client.Error):
            return  # it is gone: what it left is found by its mark

    def _busy(self, names: Sequence[str]) -> dict[str, Process]:
        over = {"STOPPED", "EXITED", "FATAL", "UNKNOWN"}
        return {name: p for name, p in self.processes().items() if name in names and p.state not in over}

    def shutdown(self) -> None:
        """End the supervisor, and wait until its process is gone."""
        try:
            pid = self.pid()
            self._call("shutdown")
        except (OSError, http.client.HTTPException, xmlrpc.client.Error):
            return
        until = time.monotonic() + START_SECONDS
        while orphans.alive(pid) and time.monotonic() < until:
            time.sleep(0.02)
