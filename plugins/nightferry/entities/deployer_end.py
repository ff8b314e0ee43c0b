"""How the deployer in a pod ends, as far as whoever started the pod looks at it."""

from __future__ import annotations

EXIT_DONE = 0
EXIT_PERMANENT = 2
EXIT_TEMPORARY = 3
"""Its exit codes: done, failed for good, failed and may be tried again."""
ENDS = "The deployer ends."
"""It says so however it ends: a good moment to look, at its exit code or at the record, for how it ended."""
LAST_WORD = f"{ENDS}\n."
"""Its last lines. Airflow's provider hands a line on when the next one comes; without one, when the log is closed."""
