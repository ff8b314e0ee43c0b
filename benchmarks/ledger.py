"""What the record costs as it grows: append, decide and show, in chains of 100, 10,000 and 100,000 entries.

    python benchmarks/ledger.py [--rounds 30] [--lengths 100 10000 100000] [--azurite] [--json]

For each length a chain of releases is made in a store of plain files, so that what is measured is Nightferry's own
work; with --azurite in the sandbox's storage, or what the settings name, in containers of its own that are removed
afterwards. Requests and bytes are counted at the store's door. Each figure is the median over the rounds, in which the
lengths take turns, after one that does not count.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import statistics
import sys
import tempfile
import time
import uuid
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from nightferry import settings
from nightferry.cli.releasing.release_view import view_of
from nightferry.clients import connect
from nightferry.clients.azure.ledger import NOTES, AzureLedger
from nightferry.clients.doors.ledger_store import LedgerStore
from nightferry.entities.decision import ReleaseRequest
from nightferry.entities.ledger_entry import Kind, LedgerEntry, canonical
from nightferry.entities.reason import Reason
from nightferry.entities.service_spec import ServiceSpec
from nightferry.steps.deciding.decide import decide
from nightferry.steps.record.history import release_entries
from nightferry.steps.record.record import record_release, record_step
from nightferry.steps.record.state import read_state

from benchmarks.file_ledger import Counting, FileLedger
from benchmarks.ledger_parts import SERVICE, Days, Models, Source

AIM_SECONDS = 1.5
AIM_BYTES = 1.05
"""A longer chain has longer numbers in it."""
LENGTHS = (100, 10_000, 100_000)
AZURITE_LENGTHS = (100, 10_000)
ENVIRONMENTS = ("staging", "production")
BASE = "registry.example/base@sha256:" + "1" * 64
SPEC = ServiceSpec.model_validate(
    {
        "service": SERVICE,
        "owner": "bench",
        "schedule": {"cron": "0 2 * * *", "timezone": "Europe/Zurich"},
        "model": {"repository": f"azure-blob://models/{SERVICE}"},
        "image": {"repository": f"registry.example/{SERVICE}"},
        "environments": [{"name": name, "namespace": name} for name in ENVIRONMENTS],
    }
)


@dataclass
class Cost:
    """What one operation took."""

    requests: float
    bytes: float
    seconds: float


class Bench:
    """One chain that grows."""

    def __init__(self, store: LedgerStore) -> None:
        self.store = Counting(store)
        self._raw = store
        self._clock = Days()
        self._models: Any = Models()
        self._source: Any = Source()
        self._number = 0
        self._template: list[LedgerEntry] = []

    def grow(self, length: int) -> None:
        """Add releases until there are about so many entries; the first and the last are real, those in between are
        copies of the first."""
        self.decide()
        self._template = self.finish()
        head = self._template[-1]
        with ThreadPoolExecutor(16) as pool:
            for done in pool.map(lambda entry: self._raw.create(*entry), self._copies(head, length)):
                assert done
        self.decide()
        self.finish()

    def append(self) -> None:
        """Write the first step of the release that is under way."""
        self._step(STEPS[0])

    def finish(self) -> list[LedgerEntry]:
        """Write the others, and how it ended; its entries."""
        for step in STEPS:
            self._step(step)
        record_release(self.store, self._clock, self._decision, ENVIRONMENTS)
        return release_entries(self.store, str(self._decision.release))

    def decide(self) -> None:
        """Decide on the next release."""
        self._number += 1
        self._clock.another()
        self._decision = decide(
            SPEC,
            ReleaseRequest(),
            key=f"run:{self._number}",
            actor="bench",
            models=self._models,
            source=self._source,
            ledger=self.store,
            base_image=BASE,
            recipe="6" * 64,
            clock=self._clock,
            asked=self._clock.now(),
        )

    def show(self) -> None:
        """Put the newest release together from its entries."""
        entries = release_entries(self.store, str(self._decision.release))
        view_of(entries, read_state(self.store, SERVICE).traffic)

    def _step(self, step: str) -> None:
        where, _, verb = step.rpartition(".")
        reason, kind = OF_DEPLOYER.get(verb, (Reason.SUCCEEDED, Kind.STEP))
        data = {"image": BASE} | ({"environment": where} if where else {})
        store, decision = self.store, self._decision
        record_step(store, self._clock, decision, step, sentence="Done.", data=data, reason=reason, kind=kind)

    def _copies(self, head: LedgerEntry, length: int) -> Iterator[tuple[str, bytes]]:
        texts = [json.dumps(entry.to_json()) for entry in self._template]
        first, decided = str(self._template[0].release), f'"{self._template[0].key}"'
        sequence, previous = head.sequence, head.digest
        while sequence + 2 * len(texts) <= length:
            self._clock.another()
            self._number += 1
            release = f"{SERVICE}-{self._clock.now():%Y-%m-%d}.1"
            for text in texts:
                sequence += 1
                stored = json.loads(text.replace(first, release).replace(decided, f'"run:{self._number}"'))
                del stored["digest"]
                stored |= {"sequence": sequence, "previous": previous, "time": f"{self._clock.now():%FT%TZ}"}
                previous = hashlib.sha256(canonical(stored)).hexdigest()
                yield LedgerEntry.name(SERVICE, sequence), canonical(stored | {"digest": previous})


OF_DEPLOYER = {
    "roll_out": (Reason.ROLLED_OUT, Kind.ROLLOUT),
    "verify": (Reason.VERIFIED, Kind.VERIFICATION),
}
STEPS = (
    *("test_source", "fetch_model", "check_model", "build_image", "test_image", "publish_image"),
    *(f"{name}.{step}" for name in ENVIRONMENTS for step in ("roll_out", "verify")),
)


def main() -> int:
    """Measure and print; 0 when the aims are met."""
    given = _arguments()
    lengths = given.lengths or (AZURITE_LENGTHS if given.azurite else LENGTHS)
    with _stores(len(lengths), azurite=given.azurite) as stores:
        benches = {length: Bench(store) for length, store in zip(lengths, stores, strict=True)}
        for length, bench in benches.items():
            began = time.perf_counter()
            bench.grow(length)
            print(f"{length:,} entries after {time.perf_counter() - began:.1f} s", file=sys.stderr)
        os.sync()  # what is written behind our back takes no part in it
        found = measured(benches, given.rounds)
    if given.json:
        print(
            json.dumps({length: {what: vars(cost) for what, cost in costs.items()} for length, costs in found.items()})
        )
        return 0
    return _print(found, seconds_count=not given.azurite)


OPERATIONS = ("show", "decide", "append")
"""In this order: the newest release is shown, another one decided on, and its first step written."""


def measured(benches: dict[int, Bench], rounds: int) -> dict[int, dict[str, Cost]]:
    """The median cost of each operation at each length. The lengths take turns: the machine does other work too."""
    costs: dict[tuple[int, str], list[Cost]] = {(length, what): [] for length in benches for what in OPERATIONS}
    for _ in range(rounds + 1):
        for what in OPERATIONS:
            for length, bench in benches.items():
                bench.store.reset()
                began = time.perf_counter()
                getattr(bench, what)()
                seconds = time.perf_counter() - began
                costs[length, what].append(Cost(bench.store.requests, bench.store.bytes, seconds))
        for bench in benches.values():
            bench.finish()
    return {length: {what: _median(costs[length, what][1:]) for what in OPERATIONS} for length in benches}


def _median(costs: Sequence[Cost]) -> Cost:
    return Cost(*(statistics.median(getattr(cost, what) for cost in costs) for what in Cost.__annotations__))


def _print(found: dict[int, dict[str, Cost]], *, seconds_count: bool) -> int:
    met = True
    first = next(iter(found.values()))
    print(f"{'':8}{'entries':>9}{'requests':>10}{'bytes':>10}{'ms':>10}{'ratio':>8}")
    for what in OPERATIONS:
        for length, costs in found.items():
            cost, ratio = costs[what], costs[what].seconds / first[what].seconds
            print(f"{what:8}{length:9,}{cost.requests:10.0f}{cost.bytes:10,.0f}{cost.seconds * 1000:10.2f}{ratio:8.2f}")
            same = cost.requests == first[what].requests and cost.bytes <= AIM_BYTES * first[what].bytes
            met = met and same and (ratio <= AIM_SECONDS or not seconds_count)
    seconds = f", seconds within {AIM_SECONDS} ×" if seconds_count else ""
    print(f"The aims (the same requests and bytes at every length{seconds}) are {'' if met else 'not '}met.")
    return 0 if met else 1


@contextmanager
def _stores(count: int, *, azurite: bool) -> Iterator[list[LedgerStore]]:
    if not azurite:
        with tempfile.TemporaryDirectory(prefix="nightferry-ledger-") as scratch:
            yield [FileLedger(Path(scratch) / str(number)) for number in range(count)]
        return
    service, name = connect.storage(settings.load()), f"bench-{uuid.uuid4().hex[:12]}"
    names = [f"{name}-{number}" for number in range(count)]
    for container in names:
        service.create_container(container)
        service.create_container(container + NOTES)
    try:
        yield [AzureLedger(service, container) for container in names]
    finally:
        for container in names:
            service.delete_container(container)
            service.delete_container(container + NOTES)


def _arguments(given: Sequence[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--rounds", type=int, default=30)
    parser.add_argument("--lengths", type=int, nargs="+", help=f"entries ({', '.join(map(str, LENGTHS))})")
    parser.add_argument("--azurite", action="store_true", help="in the sandbox's storage instead of plain files")
    parser.add_argument("--json", action="store_true")
    return parser.parse_args(given)


if __name__ == "__main__":
    sys.exit(main())
