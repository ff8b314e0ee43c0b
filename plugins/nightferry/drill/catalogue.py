"""Which faults there are."""

from __future__ import annotations

from collections.abc import Sequence

from nightferry.drill.fault import Fault
from nightferry.drill.faults.deployers import DEPLOYERS
from nightferry.drill.faults.pods import PODS
from nightferry.drill.faults.releases import RELEASES
from nightferry.drill.faults.systems import SYSTEMS
from nightferry.entities.reason import Reason
from nightferry.errors import Permanent

FAULTS: tuple[Fault, ...] = (*RELEASES, *PODS, *DEPLOYERS, *SYSTEMS)


def chosen(only: Sequence[str], *, quick: bool) -> list[Fault]:
    """The faults of these names, or all; with `quick` those of them that take seconds.

    Raises:
        Permanent: (request_invalid) there is none of a name.
    """
    known = {fault.name: fault for fault in FAULTS}
    for name in only:
        if name not in known:
            raise Permanent(Reason.REQUEST_INVALID, f"There is no fault {name!r}; there are: {', '.join(known)}.")
    return [fault for name, fault in known.items() if (not only or name in only) and (fault.quick or not quick)]
