"""What the command's exit code says."""

from __future__ import annotations

from nightferry.entities.reason import Reason
from nightferry.errors import NightferryError, Temporary

OK = 0
NOT_WELL = 1
"""What was asked about is not well: a release failed, a ledger is broken, a service file is not sound."""
USAGE = 2
"""The command line, a file or a name in it is wrong."""
UNAVAILABLE = 3
"""An outside system does not answer, or refuses."""
OWN_FAULT = 70
"""A fault of nightferry itself."""
INTERRUPTED = 130

_NOT_WELL = {Reason.LEDGER_BROKEN}
_OUTSIDE = {Reason.DISK_FULL, Reason.SANDBOX_FAILED, Reason.MODEL_REPOSITORY_MISSING, Reason.LEDGER_MISSING}


def of(fault: NightferryError) -> int:
    """The exit code for an error."""
    if fault.reason in _NOT_WELL:
        return NOT_WELL
    outside = fault.reason in _OUTSIDE or fault.reason.endswith(("_unavailable", "_denied"))
    return UNAVAILABLE if outside or isinstance(fault, Temporary) else USAGE
