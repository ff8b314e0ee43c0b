"""What benchmarks/serving.py has measured: the table, the ratios, and the aims."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from benchmarks.serving_contenders.running import NAMES

LIMIT = "the same work without HTTP"
CONNECTIONS = (1, 8, 64)
Figures = dict[tuple[str, int], dict[str, float]]
"""(contender, connections) -> rate, p99 and mean (ms), processor time for a request (µs), memory (MB), start (s)."""


@dataclass(frozen=True)
class Measured:
    """One model's figures."""

    figures: Figures
    limits: dict[int, dict[str, float]]
    """Without HTTP: 1 -> one process of two threads, 64 -> two processes; rate, mean (ms)."""
    second_worker: float | None
    """What it takes of memory (MB), if that was measured."""

    def document(self) -> dict[str, Any]:
        """Return all of it for a file."""
        figures = [{"contender": way, "connections": c, **each} for (way, c), each in self.figures.items()]
        limits = {"one process, two threads": self.limits[1], "two processes": self.limits[64]}
        return {"figures": figures, "no_http": limits, "second_worker_mb": self.second_worker}


def table(model: str, ways: list[str], measured: Measured, rounds: int) -> None:
    """Print the figures, and how many times as fast this service is."""
    figures, limits = measured.figures, measured.limits
    print(
        f"\n{model}: requests/s over 1 / 8 / 64 connections, and µs of processor for each; p99 and memory at 64; "
        f"median of {rounds}"
    )
    for way in ways:
        rates = " /".join(f"{figures[way, c]['rate']:9,.1f}" for c in CONNECTIONS)
        cpu = " /".join(f"{figures[way, c]['cpu']:6,.0f}" for c in CONNECTIONS)
        last = figures[way, 64]
        print(
            f"  {NAMES[way]:34}{rates}  {cpu} µs  p99 {last['p99']:7.1f} ms  {last['memory']:6.0f} MB  "
            f"start {last['start']:5.2f} s"
        )
    print(f"  {LIMIT:34}{limits[1]['rate']:9,.1f}, on two cores {limits[64]['rate']:,.1f}")
    for way in ways if "serving_app" in ways else []:
        if way != "serving_app":
            ratios = ", ".join(f"{_ratio(figures, 'serving_app', way, c):.2f}" for c in CONNECTIONS)
            print(f"  this service is {ratios} x {NAMES[way]}")


def aims(model: str, ways: list[str], measured: Measured) -> list[dict[str, Any]]:
    """Print each aim and whether it is met; all of them."""
    if "serving_app" not in ways:
        return []
    return [_aim(*aim) for aim in (_small(ways, measured) if model == "small" else _large(measured))]


def _small(ways: list[str], measured: Measured) -> list[tuple[str, float, float]]:
    figures, aims = measured.figures, []
    if "fastapi" in ways:
        aims += [("64 connections, over FastAPI", _ratio(figures, "serving_app", "fastapi", 64), 1.5)]
        aims += [("1 connection, over FastAPI", _ratio(figures, "serving_app", "fastapi", 1), 1.3)]
        p99 = _ratio(figures, "fastapi", "serving_app", 64, "p99")
        aims += [("FastAPI's p99 over this one's, 64 connections", p99, 1.0)]
    if "fastapi" in ways and "together" in ways:
        aims += [("64 connections, rows together, over FastAPI", _ratio(figures, "together", "fastapi", 64), 2.5)]
    if "tutorial" in ways:
        aims += [("64 connections, over the tutorial's", _ratio(figures, "serving_app", "tutorial", 64), 10.0)]
    if measured.second_worker is not None:
        aims += [("the second worker's memory, part of 40 MB", measured.second_worker / 40, -1.0)]
    return [*aims, ("start to the first answer, part of 1 s", figures["serving_app", 1]["start"], -1.0)]


def _large(measured: Measured) -> list[tuple[str, float, float]]:
    figures, limit, lone = measured.figures, measured.limits[64]["rate"], measured.limits[1]["mean"]
    return [
        ("8 connections, part of the limit", figures["serving_app", 8]["rate"] / limit, 0.95),
        ("64 connections, part of the limit", figures["serving_app", 64]["rate"] / limit, 0.95),
        ("two threads' latency over this one's, 1 connection", lone / figures["serving_app", 1]["mean"], 1 / 1.1),
    ]


def _ratio(figures: Figures, one: str, other: str, connections: int, what: str = "rate") -> float:
    return figures[one, connections][what] / figures[other, connections][what]


def _aim(what: str, value: float, aim: float) -> dict[str, Any]:
    """Print whether a value is at least its aim; a negative aim is the most that it may be."""
    met, sign = (value >= aim, ">=") if aim > 0 else (value <= -aim, "<=")
    print(f"  {what}: {value:.2f} (aim {sign} {abs(aim):.2f}) {'met' if met else 'MISSED'}")
    return {"what": what, "value": value, "aim": f"{sign} {abs(aim):.2f}", "met": met}
