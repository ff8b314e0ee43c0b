#!/usr/bin/env python3
"""Send the service 120,000 requests that nobody would send, then those of Schemathesis, and watch what it does.

    python benchmarks/fuzz_serving.py [--count 120000] [--examples 100] [--seed 1]

Starts a service of its own, of a tiny model. Prints a line for each tenth and a table at the end. Exit code 1: an
answer of 500 or more or not as /openapi.json says, a request without an answer, a worker that died, or memory that
grew.
"""

from __future__ import annotations

import argparse
import re
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).parents[1]
sys.path[:0] = [str(ROOT)]

from tests.clients.described import described  # noqa: E402
from tests.serving_app.fuzzing import Fuzzer, Report, memory  # noqa: E402
from tests.serving_app.models import picture, score_body, write_shades  # noqa: E402
from tests.serving_app.running import Service  # noqa: E402

ALLOWED_GROWTH = 16 * 1024 * 1024
"""Bytes, from the first fifth, when every code path has been met once, to the end."""
PARTS = 10


def main() -> int:
    """Fuzz, print, and return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=120_000)
    parser.add_argument("--examples", type=int, default=100, help="of Schemathesis, for each operation")
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        service = Service(write_shades(Path(folder) / "m"), {})
        try:
            service.wait_ready()
            return _watch(service, arguments, Path(folder))
        finally:
            service.kill()


def _watch(service: Service, arguments: argparse.Namespace, folder: Path) -> int:
    workers = service.workers()
    _say(0, 0.0, service)
    faults, early = _bytes(service, arguments.count, arguments.seed)
    faults += _described(service, arguments.examples, arguments.seed, folder)
    growth = memory(service) - early
    if service.workers() != workers:
        faults.append("a worker was replaced")
    if growth > ALLOWED_GROWTH:
        faults.append(f"memory grew by {growth / 1e6:.1f} MB")
    if service.post("/score", score_body(picture(255)))[1]["result"][0][0][0][0] != "light":
        faults.append("the service has forgotten what is light")
    print("\n".join(faults) or f"seed {arguments.seed}: none answered 5xx, none without an answer, no worker replaced")
    return 1 if faults else 0


def _bytes(service: Service, count: int, seed: int) -> tuple[list[str], int]:
    """Return what must not be, and the memory after the first fifth."""
    report, sizes = Report(), []
    start = time.monotonic()
    for part in range(PARTS):
        Fuzzer(service.port, seed * 1000 + part).run(count // PARTS, report)
        sizes.append(memory(service))
        _say(report.requests, time.monotonic() - start, service)
    for status, times in sorted(report.answers.items()):
        print(f"{times:>8} {status or 'closed without an answer: the request never was whole'}")
    return [failure[:500] for failure in report.failures[:20]], sizes[1]


def _described(service: Service, examples: int, seed: int, folder: Path) -> list[str]:
    before, start = _answered(service), time.monotonic()
    said = described(service.port, examples=examples, seed=seed, folder=folder)
    _say(_answered(service) - before - 1, time.monotonic() - start, service, " of Schemathesis")
    return [] if said.returncode == 0 else [said.stdout[-5000:] + said.stderr]


def _answered(service: Service) -> int:
    counts = re.findall(r"^serving_requests_total\{.*\} (\d+)", service.get("/metrics")[1].decode(), re.MULTILINE)
    return sum(map(int, counts))


def _say(requests: int, seconds: float, service: Service, of: str = "") -> None:
    pss, rss = memory(service) / 1e6, memory(service, "Rss") / 1e6
    print(f"{requests:>8} requests{of}, {seconds:4.0f} s, {pss:6.1f} MB (resident {rss:.1f} MB)", flush=True)


if __name__ == "__main__":
    sys.exit(main())
