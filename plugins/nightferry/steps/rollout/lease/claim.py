"""Who wants a service's Lease and what for, as it is written on the Lease."""

from __future__ import annotations

import datetime as dt
import uuid
from dataclasses import dataclass, field
from enum import IntEnum

from nightferry.clients.doors.cluster import Manifest
from nightferry.clients.person import at_work
from nightferry.manifests import names

LEASE_SECONDS = 10
"""So long after its last renewal a holder may be taken for dead; client-go's leader election has 15."""


class Rank(IntEnum):
    """What goes first. The words on the Lease are these names in small letters."""

    HOUSEKEEPING = 0
    """Retiring, healing and finishing: it can wait for its next turn."""
    ROLLOUT = 1
    PERSON = 2
    """A rollback: somebody sees wrong answers."""


def _mark() -> str:
    return uuid.uuid4().hex[:6]


@dataclass(frozen=True)
class Claim:
    """What one process wants the Lease for."""

    service: str
    doing: str
    """For people: `roll_out of digits-2026-11-21.1`."""
    rank: Rank
    order: int = 0
    """The sequence of the entry that is carried out, as on the Service; 0 where that is not on the record yet."""
    release: str = ""
    """The release that is rolled out or looked at."""
    needed: bool = False
    """Whether nothing is done where the Lease is not allowed to this identity."""
    mark: str = field(default_factory=_mark)
    """Makes the holder another one than every other process, one that does the same on the same machine too."""

    @property
    def holder(self) -> str:
        """Who it is, for people and programs: where it runs, what it does, its mark."""
        return f"{at_work()}: {self.doing} #{self.mark}"

    def lease(self, now: dt.datetime) -> Manifest:
        """The Lease of one who takes it where there is none."""
        metadata = {"name": self.service, "labels": names.labels(self.service), "annotations": self._notes()}
        return {
            "apiVersion": "coordination.k8s.io/v1",
            "kind": "Lease",
            "metadata": metadata,
            "spec": self._spec(now, 0),
        }

    def taking(self, held: Held, now: dt.datetime) -> Manifest:
        """What is changed on a Lease that was `held`, if it is still that."""
        metadata = {"resourceVersion": held.version, "annotations": self._notes()}
        return {"metadata": metadata, "spec": self._spec(now, held.transitions + 1)}

    def _notes(self) -> dict[str, str]:
        return {
            names.ORDER: str(self.order),
            names.RELEASE: self.release,
            names.RANK: self.rank.name.lower(),
        }

    def _spec(self, now: dt.datetime, transitions: int) -> Manifest:
        return {
            "holderIdentity": self.holder,
            "leaseDurationSeconds": LEASE_SECONDS,
            "acquireTime": micro_time(now),
            "renewTime": micro_time(now),
            "leaseTransitions": transitions,
        }


@dataclass(frozen=True)
class Held:
    """A Lease as it was read. What a person spoilt by hand counts as a rollout of no order."""

    holder: str
    """Empty: nobody's."""
    rank: Rank
    order: int
    release: str
    seconds: float
    beat: str
    """Changes with every renewal. It is compared with itself alone: clocks of other machines may be wrong."""
    transitions: int
    version: str

    @classmethod
    def of(cls, lease: Manifest) -> Held:
        """Read one."""
        spec, notes = lease.get("spec") or {}, names.annotations_of(lease)
        order = notes.get(names.ORDER, "")
        return cls(
            holder=str(spec.get("holderIdentity") or ""),
            rank=Rank.__members__.get(notes.get(names.RANK, "").upper(), Rank.ROLLOUT),
            order=int(order) if order.isdigit() else 0,
            release=notes.get(names.RELEASE, ""),
            seconds=float(spec.get("leaseDurationSeconds") or LEASE_SECONDS),
            beat=str(spec.get("renewTime") or ""),
            transitions=int(spec.get("leaseTransitions") or 0),
            version=str(lease["metadata"]["resourceVersion"]),
        )


def micro_time(time: dt.datetime) -> str:
    """A time as Leases hold it (MicroTime): 2026-11-21T02:00:00.000000Z."""
    return f"{time.astimezone(dt.UTC):%Y-%m-%dT%H:%M:%S.%fZ}"
