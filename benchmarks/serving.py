"""The service against what a Python team would pick instead: same model, same JSON, same machine, one run.

    python benchmarks/serving.py [--quick] [--only serving_app,fastapi] [--model small|resnet] [--json FILE]

Every request carries an X-Request-Id of its own, as behind an ingress controller. This service is there three times: as
it computes a model that says nothing about its rows, one whose rows are declared independent (requests that arrive
together share an inference), and as its plain Flask app under granian.

Needs wrk and nginx (`apt-get install wrk nginx-light`). The contenders get an environment of their own, made once from
benchmarks/requirements-serving.txt. Each is started, warmed, loaded by wrk over 1, 8 and 64 connections, and ended, in
turns; a figure is the median over the rounds (of the large model, the others than this service take part in the first
round only). Ten minutes on two cores. Exit code 0 when every aim is met. Everything listens on loopback.
"""

from __future__ import annotations

import argparse
import base64
import io
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

from benchmarks import serving_report  # noqa: E402
from benchmarks.serving_contenders import models  # noqa: E402
from benchmarks.serving_contenders.running import (  # noqa: E402
    NAMES,
    answers,
    cpu_seconds,
    environment,
    memory,
    running,
)
from benchmarks.serving_report import CONNECTIONS, Measured  # noqa: E402

LONGER = 3
"""The large model's loads take so many times as long: at 25 requests a second, what is left at their ends counts."""
LUA = """
wrk.method = "POST"; wrk.headers["Content-Type"] = "application/json"
local file = io.open(os.getenv("BODY"), "rb"); wrk.body = file:read("*a"); file:close()
local before, after, sent = "", "", 0
function init(args)
  wrk.headers["X-Request-Id"] = "@id@"
  local whole = wrk.format()
  local from, to = whole:find("@id@", 1, true)
  before, after = whole:sub(1, from - 1), whole:sub(to + 1)
  sent = math.random(1000000) * 1000000
end
function request()
  sent = sent + 1
  return before .. string.format("%012d", sent) .. after
end
function done(summary, latency, requests)
  local e = summary.errors
  io.stderr:write(string.format('{"requests": %d, "seconds": %f, "p99": %f, "mean": %f, "wrong": %d}',
    summary.requests, summary.duration / 1e6, latency:percentile(99) / 1e3, latency.mean / 1e3,
    e.connect + e.read + e.write + e.status + e.timeout))
end
"""


def main() -> int:
    """Measure and print; 0 when every aim is met."""
    given = _arguments()
    for tool in ("wrk", "nginx"):
        if not shutil.which(tool):
            print(f"{tool} is missing: apt-get install wrk nginx-light", file=sys.stderr)
            return 1
    python = given.contenders or _environment()
    ways = given.only.split(",") if given.only else list(NAMES)
    result: dict[str, Any] = {"cpus": os.cpu_count(), "load_average": os.getloadavg(), "models": {}}
    met = True
    with tempfile.TemporaryDirectory(prefix="nightferry-serving-") as scratch:
        folder = Path(scratch)
        (folder / "wrk.lua").write_text(LUA)
        for model in given.model.split(","):
            bench = Bench(folder / model, python, ways, seconds=given.seconds, rounds=given.rounds)
            bench.prepare(model)
            measured = bench.measure()
            serving_report.table(model, bench.ways, measured, given.rounds)
            aims = serving_report.aims(model, bench.ways, measured)
            met &= all(aim["met"] for aim in aims)
            result["models"][model] = measured.document() | {"aims": aims}
    if given.json:
        given.json.write_text(json.dumps(result, indent=2) + "\n")
    return 0 if met else 1


class Bench:
    """One model, all contenders."""

    def __init__(self, folder: Path, python: Path, ways: list[str], *, seconds: float, rounds: int) -> None:
        self.folder, self.python, self.ways = folder, python, ways
        self.seconds, self.rounds = seconds, rounds
        self.path = ""
        self.large = False
        self.body = b""

    def prepare(self, model: str) -> None:
        """Write the model and the request."""
        self.folder.mkdir()
        write = models.write_small if model == "small" else models.write_resnet50
        manifest = write(self.folder / "model")
        tensor: dict[str, Any] = {"name": "image", "datatype": "FP32", "shape": [1, 64]}
        tensor["data"] = [float(i % 17) for i in range(64)]
        if model != "small":
            tensor |= {"datatype": "BYTES", "shape": [1], "data": [_photo()]}
        self.body = json.dumps({"inputs": [tensor]}).encode()
        (self.folder / "body.json").write_bytes(self.body)
        self.path = f"/v2/models/{manifest['service']}/infer"
        self.large = model != "small"
        if not self.large:
            models.write_small(self.folder / "together", rows="independent")
        self.ways = [way for way in self.ways if not (self.large and way in ("together", "granian"))]

    def _model(self, way: str) -> Path:
        return self.folder / ("together" if way == "together" else "model")

    def measure(self) -> Measured:
        """Return the medians over the rounds."""
        found: dict[tuple[str, int], list[dict[str, float]]] = {}
        limits: dict[int, list[dict[str, float]]] = {}
        for turn in range(self.rounds):
            for connections, (processes, threads) in {1: (1, 2), 64: (2, 1)}.items():
                limits.setdefault(connections, []).append(self._limit(processes, threads))
            ways = [way for way in self.ways if way == "serving_app" or not (turn and self.large)]
            for way in ways[turn % len(ways) :] + ways[: turn % len(ways)]:
                print(f"  round {turn + 1} of {self.rounds}: {NAMES[way]}", file=sys.stderr)
                for connections, figures in self._load(way).items():
                    found.setdefault((way, connections), []).append(figures)
        second = None
        if "serving_app" in self.ways and not self.large:
            second = self._memory("serving_app") - self._memory("one_worker")
        return Measured(
            figures={key: _medians(runs) for key, runs in found.items()},
            limits={key: _medians(runs) for key, runs in limits.items()},
            second_worker=second,
        )

    def _memory(self, way: str) -> float:
        """Return what a service takes after a load (PSS, MB)."""
        with running(way, self.folder / "model", self.folder, self.python, self.path, self.body) as (port, pids, _):
            self._wrk(port, 64, min(2.0, self.seconds))
            return memory(pids)

    def _load(self, way: str) -> dict[int, dict[str, float]]:
        model = self._model(way)
        with running(way, model, self.folder, self.python, self.path, self.body) as (port, pids, began):
            self._wrk(port, 8, min(1.0, self.seconds))
            figures = {}
            for connections in CONNECTIONS:
                answers(port, self.path, self.body)  # what the load before has left behind is done
                cpu = cpu_seconds(pids)
                found = self._wrk(port, connections, self.seconds * (LONGER if self.large else 1))
                figures[connections] = found | {"cpu": (cpu_seconds(pids) - cpu) / found["requests"] * 1e6}
            for each in figures.values():
                each |= {"memory": memory(pids), "start": began}
        return figures

    def _wrk(self, port: int, connections: int, seconds: float) -> dict[str, float]:
        words = ["wrk", "-t1", f"-c{connections}", f"-d{max(1, round(seconds))}s", "--timeout", "30s", "--latency"]
        words += ["-s", str(self.folder.parent / "wrk.lua"), f"http://127.0.0.1:{port}{self.path}"]
        environ = {**os.environ, "BODY": str(self.folder / "body.json")}
        done = subprocess.run(words, env=environ, capture_output=True, text=True, check=True)
        said = json.loads(done.stderr)
        if said["wrong"]:
            raise SystemExit(f"{said['wrong']} wrong answers at {connections} connections; the figures mean nothing")
        rate = said["requests"] / said["seconds"]
        return {"rate": rate, "p99": said["p99"], "mean": said["mean"], "requests": said["requests"]}

    def _limit(self, processes: int, threads: int) -> dict[str, float]:
        words = [str(self.python), "-m", "benchmarks.serving_contenders.no_http", str(self.folder / "body.json")]
        words += [str(self.seconds), str(processes), str(threads)]
        environ = environment(self.folder / "model")
        done = subprocess.run(words, env=environ, cwd=ROOT, stdout=subprocess.PIPE, text=True, check=True)
        said: dict[str, float] = json.loads(done.stdout)
        return {"rate": said["rate"], "mean": said["mean_ms"]}


def _medians(runs: list[dict[str, float]]) -> dict[str, float]:
    return {name: statistics.median(run[name] for run in runs) for name in runs[0]}


def _photo() -> str:
    import numpy as np
    from PIL import Image

    noise = np.random.default_rng(0).integers(0, 255, (28, 28, 3), np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(noise).resize((224, 224), Image.Resampling.BICUBIC).save(buffer, "JPEG", quality=90)
    return base64.b64encode(buffer.getvalue()).decode()


def _environment() -> Path:
    """Make the contenders' environment, once for each lock file."""
    import hashlib

    lock = ROOT / "benchmarks" / "requirements-serving.txt"
    digest = hashlib.sha256(lock.read_bytes()).hexdigest()[:12]
    home = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "nightferry" / f"serving-bench-{digest}"
    python = home / "bin" / "python"
    if not (home / ".ready").exists():
        print("Installing the contenders…", file=sys.stderr)
        subprocess.run([sys.executable, "-m", "venv", "--clear", str(home)], check=True)
        install = ["install", "-q", "--disable-pip-version-check", "--require-hashes", "-r", str(lock)]
        subprocess.run([str(python), "-m", "pip", *install], check=True)
        (home / ".ready").touch()
    return python


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n\n")[0])
    parser.add_argument("--quick", action="store_true", help="one round of short runs: for a look, not for a figure")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=5.0, help="of each load (%(default)s)")
    parser.add_argument("--only", help=f"contenders: {','.join(NAMES)}")
    parser.add_argument("--model", default="small,resnet", help="small, resnet, or both")
    parser.add_argument("--json", type=Path, help="write all figures to this file")
    parser.add_argument("--contenders", type=Path, help="python of an environment that has the contenders")
    given = parser.parse_args()
    if given.quick:
        given.rounds, given.seconds = 1, 2.0
    return given


if __name__ == "__main__":
    sys.exit(main())
