"""Four times as much as the service can do: what becomes of those it answers, and how soon the others are refused.

    python benchmarks/serving_overload.py [--rounds N]

One worker, one model at a time, a model of some tens of milliseconds, a queue of 200 ms. The peak is what two clients
get who ask one request after the other; then 32 clients ask four times as many, at a steady pace.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT)]

from tests.serving_app.models import picture, score_body, write_shades  # noqa: E402
from tests.serving_app.running import Service  # noqa: E402
from tests.serving_process.overload import ONE, SECONDS, SLOW, overloaded  # noqa: E402


def main() -> int:
    """Print a line for each round; 0 if the median of each figure meets its aim."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5, help="(5)")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        service = Service(write_shades(Path(folder) / "m", slow=SLOW), {**ONE, "SERVING_QUEUE_MS": "200"})
        try:
            service.wait_ready()
            rounds = [_round(service) for _ in range(given.rounds)]
        finally:
            service.kill()
    middle = [sorted(values)[len(values) // 2] for values in zip(*rounds, strict=True)]
    good, _, late, _, recovered = middle
    print(
        f"median: good answers {good:.2f} of the peak (aim >= 0.90), 503 within {late * 1000:.0f} ms for 19 of 20 ",
        end="",
    )
    print(f"(aim <= 50), the next request after it answered in {recovered * 1000:.0f} ms")
    return int(good < 0.9 or late > 0.05)


def _round(service: Service) -> tuple[float, float, float, float, float]:
    peak, answers = overloaded(service, 2)
    good = [seconds for status, seconds, _ in answers if status == 200]
    refused = sorted(seconds for status, seconds, retry in answers if status == 503 and retry)
    if len(good) + len(refused) != len(answers) or not refused:
        raise SystemExit(f"other answers, or nobody refused: {sorted({status for status, _, _ in answers})}")
    start = time.monotonic()
    service.post("/score", score_body(picture(255)))
    found = (
        len(good) / SECONDS / peak,
        refused[len(refused) // 2],
        refused[len(refused) * 19 // 20],
        refused[-1],
        time.monotonic() - start,
    )
    print(
        f"peak {peak:5.1f}/s; asked {len(answers) / SECONDS:6.1f}/s: good {found[0]:.2f} of the peak; refused "
        f"{len(refused)}, half within {found[1] * 1000:.0f} ms, 19 of 20 within {found[2] * 1000:.0f}, "
        f"all within {found[3] * 1000:.0f}; afterwards {found[4] * 1000:.0f} ms"
    )
    return found


if __name__ == "__main__":
    sys.exit(main())
