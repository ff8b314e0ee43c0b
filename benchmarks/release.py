"""How much does Nightferry add to a release? One release through it against the same work as bare commands, in one run.

    .venv/bin/python benchmarks/release.py [--rounds N]

The same work: download the model, export the code, build and run the unit tests, build and push the image, start it
and ask it the golden examples, push it to the release repository, and for staging and production apply the same
objects, wait until the pods are ready, ask the candidate, switch the Service, ask the Service. Bare commands decide
nothing, record nothing, and run from this machine as the cluster's administrator.

Cold: BuildKit's cache is empty before each. Model-only: another model version, everything else cached. Both sides take
turns. Needs the running sandbox (`nightferry up`); uses a service, model versions and repositories of its own, and
removes them at the end.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks.bare_release import BareRelease
from benchmarks.bench_service import BenchService

AIM_COLD, AIM_MODEL_SECONDS = 1.25, 30.0


def main() -> int:
    """Run the rounds, print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=2, help="pairs per kind of release (2)")
    parser.add_argument("--json", action="store_true", help="print the figures as JSON")
    given = parser.parse_args()
    bench = BenchService()
    cold: list[tuple[float, float]] = []
    model: list[tuple[float, float]] = []
    shares: dict[str, dict[str, float]] = {}
    try:
        bench.prepare()
        for number in range(given.rounds):
            cold.append(_pair(bench, f"cold {number + 1}", shares, "cold", cold=True))
            model.append(_pair(bench, f"model-only {number + 1}", shares, "model-only", cold=False))
    finally:
        bench.remove()
    figures = {"cold": _figures(cold), "model_only": _figures(model)}
    if given.json:
        print(json.dumps({**figures, "where_the_time_goes": shares}, indent=2))
    else:
        _print(figures, shares)
    return 0


def _pair(
    bench: BenchService, name: str, shares: dict[str, dict[str, float]], kind: str, *, cold: bool
) -> tuple[float, float]:
    """One release each way; seconds through Nightferry and bare."""
    seconds = []
    for way in ("nightferry", "bare"):
        version = bench.publish_model(f"{name.replace(' ', '-')}-{way}")
        if cold:
            bench.prune()
        print(f"… {name}: {way}", file=sys.stderr, flush=True)
        took, steps = bench.release(version) if way == "nightferry" else BareRelease(bench, version).run()
        seconds.append(took)
        shares[f"{kind}, {way}"] = steps
    return seconds[0], seconds[1]


def _figures(pairs: list[tuple[float, float]]) -> dict[str, float]:
    ours, bare = (statistics.median(pair[side] for pair in pairs) for side in (0, 1))
    return {"nightferry_seconds": round(ours, 1), "bare_seconds": round(bare, 1), "ratio": round(ours / bare, 2)}


def _print(figures: dict[str, dict[str, float]], shares: dict[str, dict[str, float]]) -> None:
    print(f"{'':12} {'Nightferry':>11} {'bare':>8} {'ratio':>6}   aim")
    for kind, aim in (("cold", f"ratio ≤ {AIM_COLD}"), ("model_only", f"Nightferry ≤ {AIM_MODEL_SECONDS:g} s")):
        one = figures[kind]
        print(
            f"{kind:12} {one['nightferry_seconds']:>9.1f} s {one['bare_seconds']:>6.1f} s {one['ratio']:>6.2f}   {aim}"
        )
    print("\nwhere the time goes, seconds of the last round")
    for way, steps in shares.items():
        print(f"  {way}: " + ", ".join(f"{step} {seconds:.1f}" for step, seconds in steps.items()))


if __name__ == "__main__":
    sys.exit(main())
