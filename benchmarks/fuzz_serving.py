#!/usr/bin/env python3
"""Send the service 120,000 requests that nobody would send, and watch its answers, workers and memory.

    python benchmarks/fuzz_serving.py [--count 120000] [--seed 1]

Starts a service of its own, of a tiny model. Prints a line for each tenth and a table at the end. Exit code 1: an
answer of 500 or more, a request without an answer, a worker that died, or memory that grew.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).parents[1]
sys.path[:0] = [str(ROOT)]

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
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        service = Service(write_shades(Path(folder) / "m"), {})
        try:
            return _fuzz(service.wait_ready(), arguments.count, arguments.seed)
        finally:
            service.kill()


def _fuzz(service: Service, count: int, seed: int) -> int:
    workers, report, sizes = service.workers(), Report(), []
    start = time.monotonic()
    for part in range(PARTS):
        Fuzzer(service.port, seed * 1000 + part).run(count // PARTS, report)
        sizes.append(memory(service))
        print(
            f"{report.requests:>8} requests, {time.monotonic() - start:6.0f} s, {sizes[-1] / 1e6:6.1f} MB", flush=True
        )
    for status, times in sorted(report.answers.items()):
        print(f"{times:>8} {status or 'closed without an answer'}")
    faults = [failure[:500] for failure in report.failures[:20]]
    if service.workers() != workers:
        faults.append("a worker was replaced")
    if sizes[-1] - sizes[1] > ALLOWED_GROWTH:
        faults.append(f"memory grew by {(sizes[-1] - sizes[1]) / 1e6:.1f} MB")
    if service.post("/score", score_body(picture(255)))[1]["result"][0][0][0][0] != "light":
        faults.append("the service has forgotten what is light")
    print("\n".join(faults) or f"seed {seed}: {report.requests} requests, none answered 5xx, none without an answer")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
