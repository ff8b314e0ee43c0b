"""What the container of an app gets beside its release's passport, here and in production."""

from __future__ import annotations

import math

from nightferry.entities.app.contract import AppContract
from nightferry.entities.service_file.quantity import cpu
from nightferry.entities.service_spec import Environment

HOME = "/tmp"  # noqa: S108 (the container's own; all else is read-only)
THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")


def variables(contract: AppContract | None, environment: Environment) -> dict[str, str]:
    """The container's variables.

    Args:
        contract: the app's; None: the stock service, which looks after itself.
        environment: with the settings, which win.
    """
    settings = dict(sorted(environment.settings.items()))
    if contract is None:
        return settings
    # Libraries count the node's processors, and start as many threads in each worker.
    threads = str(max(1, math.ceil(cpu(environment.resources.cpu_limit))))
    own = {"HOME": HOME} | {name: threads for name in THREADS if name not in contract.environment}
    return own | settings
