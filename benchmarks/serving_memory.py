#!/usr/bin/env python3
"""Send the service the largest bodies and pictures, several at once, and watch its memory.

    python benchmarks/serving_memory.py [--at-once 4] [--rounds 3]

Starts a service of its own, of a tiny model, with default settings. A line for each kind: its answers, the peak of the
workers' resident memory added up, and what the service takes five seconds later (what is shared counted once).
"""

from __future__ import annotations

import argparse
import base64
import http.client
import io
import re
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

ROOT = Path(__file__).parents[1]
sys.path[:0] = [str(ROOT)]

from PIL import Image  # noqa: E402

from tests.serving_app.fuzzing import memory  # noqa: E402
from tests.serving_app.models import write_shades  # noqa: E402
from tests.serving_app.running import Service  # noqa: E402

LARGEST = 16 * 1024 * 1024
SETTLE_SECONDS = 5
INFER = "/v2/models/shades/infer"


def kinds() -> Iterator[tuple[str, str, bytes]]:
    """Yield name, path and body."""
    head, tail = b'{"inputs":[{"name":"image","datatype":"FP32","shape":[1,4],"data":[', b"]}]}"
    room = LARGEST - len(head) - len(tail) - 10
    yield "16 MB: one long text", "/score", b'{"input":["' + b"A" * (room // 4 * 4) + b'"]}'
    yield "16 MB: zeros", INFER, head + b"0," * (room // 2) + b"0" + tail
    yield "16 MB: long numbers", INFER, head + b"0.12345678901234," * (room // 17) + b"0" + tail
    yield "16 MB: empty lists", INFER, head + b"[]," * (room // 3) + b"0" + tail
    yield "16 MB: brackets", INFER, b"[" * LARGEST
    for side in (4890, 7000):
        yield f"picture, {side**2 / 1e6:.0f} megapixels, transparent", "/score", _picture(side)


def _picture(side: int) -> bytes:
    buffer = io.BytesIO()
    Image.new("RGBA", (side, side), (10, 20, 30, 40)).save(buffer, "PNG")
    return b'{"input":["' + base64.b64encode(buffer.getvalue()) + b'"]}'


def main() -> int:
    """Send, and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--at-once", type=int, default=4)
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        service = Service(write_shades(Path(folder) / "m"), {})
        try:
            service.wait_ready()
            print(f"{'idle':<40} {'':<24} {_peak(service) / 1e6:8.0f} MB {memory(service) / 1e6:8.0f} MB")
            for name, path, body in kinds():
                _reset(service)
                answers = _send(service, path, body, arguments.at_once, arguments.rounds)
                peak = _peak(service)
                time.sleep(SETTLE_SECONDS)
                print(f"{name:<40} {answers:<24} {peak / 1e6:8.0f} MB {memory(service) / 1e6:8.0f} MB", flush=True)
        finally:
            service.kill()
    return 0


def _send(service: Service, path: str, body: bytes, at_once: int, rounds: int) -> str:
    def one(_: int) -> int:
        connection = http.client.HTTPConnection("127.0.0.1", service.port, timeout=60)
        connection.request("POST", path, body, {"Content-Type": "application/json"})
        status = connection.getresponse().status
        connection.close()
        return status

    with ThreadPoolExecutor(at_once) as pool:
        counts = Counter(pool.map(one, range(at_once * rounds)))
    return ", ".join(f"{times} x {status}" for status, times in sorted(counts.items()))


def _reset(service: Service) -> None:
    for pid in service.workers():
        Path(f"/proc/{pid}/clear_refs").write_text("5")


def _peak(service: Service) -> int:
    total = 0
    for pid in service.workers():
        found = re.search(r"^VmHWM:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text(), re.MULTILINE)
        total += int(found[1]) * 1024 if found else 0
    return total


if __name__ == "__main__":
    sys.exit(main())
