"""How long until users get the release before again? Rollbacks with every Airflow process stopped.

    .venv/bin/python benchmarks/rollback.py [--runs N]

Each run is `nightferry rollback` as a process of its own, from its start to the first answer of the other release at
the Service's address, asked with a new connection every 20 ms. Warm: its pods run. Cold: its Deployment was scaled to
zero before. Beside each warm one stands a bare patch of the Service's selector, which is the least that it can take.
Needs the running sandbox (`nightferry up`); it works in a namespace, a record and a model repository of its own, which
it removes, and starts Airflow again at the end.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import requests
from nightferry.manifests import names
from nightferry.sandbox.layout import Layout, Owner
from nightferry.sandbox.supervise.supervision import Supervisor

from tests.e2e.rollout_scene import SERVICE, RolloutScene

AIM_WARM, AIM_COLD = 5.0, 60.0
AIRFLOW = ("airflow-api-server", "airflow-scheduler", "airflow-dag-processor", "airflow-triggerer")


def main() -> int:
    """Stop Airflow, roll back and forth, print the table, start Airflow."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=20, help="of each kind (20)")
    parser.add_argument("--json", action="store_true", help="print the figures as JSON")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        scene = RolloutScene(Path(folder))
        home = scene.settings.home
        supervisor = Supervisor(Layout(root=scene.settings.root, home=home, owner=Owner.current()))
        try:
            scene.begin()
            releases = [scene.released(name="production") for _ in range(2)]
            supervisor.stop(list(AIRFLOW))
            figures = {
                "bare": [_timed(scene, target, _bare) for target in _turns(releases, given.runs)],
                "warm": [_timed(scene, target, _command) for target in _turns(releases, given.runs)],
                "cold": [_cold(scene, target) for target in _turns(releases, given.runs)],
            }
        finally:
            for part in AIRFLOW:
                supervisor.start(part)
            scene.remove()
    said = {kind: _said(seconds) for kind, seconds in figures.items()}
    if given.json:
        print(json.dumps(said, indent=2))
    else:
        _print(said)
    return 0


def _turns(releases: Sequence[str], runs: int) -> list[str]:
    return [releases[number % 2] for number in range(runs)]


def _timed(scene: RolloutScene, target: str, work: Callable[[RolloutScene, str], None]) -> float:
    """Seconds from the start of `work` to the first answer of the release."""
    if scene.in_use() == target:
        raise AssertionError(f"{target} is in use already")
    address, began = scene.address(), time.monotonic()
    work(scene, target)
    while True:
        with requests.Session() as session:
            if session.get(f"{address}/version", timeout=5).json()["release"] == target:
                seconds = time.monotonic() - began
                break
        time.sleep(0.02)
    scene.ended()
    return seconds


def _bare(scene: RolloutScene, target: str) -> None:
    scene.point_to(target)


def _command(scene: RolloutScene, target: str) -> None:
    words = ("rollback", SERVICE, "--to", target, "--reason", "benchmark", "--by", "benchmark")
    scene.running.append(scene.start_nightferry(*words))


def _cold(scene: RolloutScene, target: str) -> float:
    scene.scale(target, 0)
    while scene.cluster.list("Pod", names.selector(SERVICE, target)):
        time.sleep(0.1)
    return _timed(scene, target, _command)


def _said(seconds: Sequence[float]) -> dict[str, float]:
    ordered = sorted(seconds)
    p95 = ordered[min(len(ordered) - 1, round(0.95 * len(ordered)))]
    return {"runs": len(ordered), "median": round(statistics.median(ordered), 2), "p95": round(p95, 2)}


def _print(said: dict[str, dict[str, float]]) -> None:
    print("Seconds from the command to the first answer of the other release, every Airflow process stopped:")
    print(f"{'':8} {'runs':>5} {'median':>8} {'p95':>8}")
    for kind, figures in said.items():
        print(f"{kind:8} {figures['runs']:>5} {figures['median']:>8.2f} {figures['p95']:>8.2f}")
    print(f"A warm one takes {said['warm']['median'] / max(said['bare']['median'], 0.01):.0f} times the bare patch.")
    met = said["warm"]["p95"] <= AIM_WARM and said["cold"]["p95"] <= AIM_COLD
    print(f"The aims (p95: warm {AIM_WARM:g} s, cold {AIM_COLD:g} s) are {'met' if met else 'NOT met'}.")


if __name__ == "__main__":
    sys.exit(main())
