"""Starts each contender in processes of its own, and ends it."""

from __future__ import annotations

import contextlib
import getpass
import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import IO

ROOT = Path(__file__).parents[2]
START_SECONDS = 60
NGINX = """
user {user}; worker_processes 1; daemon off; error_log /dev/null crit; pid {folder}/nginx.pid;
events {{ worker_connections 1024; }}
http {{
  access_log off; client_max_body_size 16m;
  client_body_temp_path {folder}/b; proxy_temp_path {folder}/p; fastcgi_temp_path {folder}/f;
  uwsgi_temp_path {folder}/u; scgi_temp_path {folder}/s;
  server {{
    listen 127.0.0.1:{port};
    location / {{ proxy_pass http://unix:{folder}/gunicorn.sock; proxy_set_header Host $host; }}
  }}
}}
"""
NAMES = {
    "serving_app": "this service",
    "together": "this service, rows independent",
    "granian": "its plain Flask app under granian",
    "fastapi": "FastAPI, uvicorn, async, orjson",
    "tutorial": "Flask, gunicorn sync, nginx",
    "mlserver": "MLServer",
    "litserve": "LitServe",
}


def commands(way: str, model: Path, folder: Path, port: int, python: Path) -> list[list[str]]:
    """Return the commands that start a contender."""
    bin_, package = python.parent, "benchmarks.serving_contenders"
    if way in ("serving_app", "together", "one_worker"):
        workers = "1" if way == "one_worker" else "2"
        words = ["-m", "serving_app", "--model-dir", str(model), "--port", str(port), "--workers", workers]
        return [[sys.executable, *words]]
    if way == "granian":
        tuned = "--interface wsgi --factory --workers 2 --blocking-threads 1 --no-ws --no-access-log --log-level error"
        return [[str(bin_ / "granian"), "serving_app.app:create_app", *tuned.split(), "--port", str(port)]]
    if way == "fastapi":
        tuned = "--workers 2 --loop uvloop --http httptools --no-access-log --log-level error"
        return [[str(bin_ / "uvicorn"), f"{package}.fastapi_async:app", *tuned.split(), "--port", str(port)]]
    if way == "tutorial":
        (folder / "nginx.conf").write_text(NGINX.format(folder=folder, port=port, user=getpass.getuser()))
        return [
            [
                str(bin_ / "gunicorn"),
                f"{package}.flask_app:app",
                "--bind",
                f"unix:{folder}/gunicorn.sock",
                "--log-level",
                "error",
            ],
            ["nginx", "-p", str(folder), "-c", str(folder / "nginx.conf")],
        ]
    if way == "mlserver":
        name = json.loads((model / "model.json").read_text())["service"]
        settings = {"http_port": port, "grpc_port": free_port(), "metrics_port": free_port(), "host": "127.0.0.1"}
        settings |= {"parallel_workers": 0, "debug": False, "use_structured_logging": False, "cache_enabled": False}
        (folder / "settings.json").write_text(json.dumps(settings))
        implementation = f"{package}.mlserver_runtime.Onnx"
        (folder / "model-settings.json").write_text(json.dumps({"name": name, "implementation": implementation}))
        return [[str(bin_ / "mlserver"), "start", str(folder)]]
    return [[str(python), "-m", f"{package}.litserve_app", str(port)]]


@contextlib.contextmanager
def running(
    way: str, model: Path, folder: Path, python: Path, path: str, body: bytes, **environ: str
) -> Iterator[tuple[int, list[int], float]]:
    """Start a contender; its port, its processes, and the seconds until it answered.

    Raises:
        SystemExit: it did not start.
    """
    port = free_port()
    (folder / way).mkdir(exist_ok=True)
    log = (folder / way / "log").open("ab")
    began = time.monotonic()
    started = [
        _start(words, {**environment(model), **environ}, log)
        for words in commands(way, model, folder / way, port, python)
    ]
    try:
        while not answers(port, path, body):
            if time.monotonic() - began > START_SECONDS or any(one.poll() is not None for one in started):
                raise SystemExit(f"{way} did not start:\n{(folder / way / 'log').read_text()[-2000:]}")
            time.sleep(0.01)
        yield port, [pid for one in started for pid in family(one.pid)], time.monotonic() - began
    finally:
        for one in reversed(started):
            with contextlib.suppress(ProcessLookupError):
                os.killpg(one.pid, signal.SIGTERM)
        for one in started:
            try:
                one.wait(10)
            except subprocess.TimeoutExpired:
                os.killpg(one.pid, signal.SIGKILL)
                one.wait()
        log.close()


def environment(model: Path) -> dict[str, str]:
    """Return what tells a contender which model it serves."""
    manifest = json.loads((model / "model.json").read_text())
    return {
        **os.environ,
        "MODEL": str(model / manifest["model"]),
        "MODEL_NAME": manifest["service"],
        "OUTPUT": manifest["outputs"][0]["name"],
        "PYTHONPATH": str(ROOT),
        "OMP_NUM_THREADS": "1",
        "SERVING_MODEL_DIR": str(model),
        "SERVING_DRAIN_MS": "0",
        "SERVING_QUEUE_MS": "60000",  # what is measured is not who is refused
    }


def free_port() -> int:
    """Return a port that was free a moment ago."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def family(pid: int) -> list[int]:
    """Return a process and all that come from it."""
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return [pid, *(each for child in children for each in family(int(child)))]


def memory(pids: list[int]) -> float:
    """Return the processes' share of memory (PSS), in MB."""
    total = 0
    for pid in pids:
        with contextlib.suppress(OSError):
            lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
            total += sum(int(line.split()[1]) for line in lines if line.startswith("Pss:"))
    return total / 1000


def cpu_seconds(pids: list[int]) -> float:
    """Return the processor time that the processes have taken so far."""
    total = 0
    for pid in pids:
        with contextlib.suppress(OSError):
            stat = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
            total += int(stat[11]) + int(stat[12])
    return total / os.sysconf("SC_CLK_TCK")


def _start(words: list[str], environ: Mapping[str, str], log: IO[bytes]) -> subprocess.Popen[bytes]:
    return subprocess.Popen(words, env=dict(environ), cwd=ROOT, stdout=log, stderr=log, start_new_session=True)


def answers(port: int, path: str, body: bytes) -> bool:
    """Whether one request of its own is answered, which then may be the service's only one."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    try:
        connection.request("POST", path, body, {"Content-Type": "application/json"})
        return connection.getresponse().status == 200
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()
