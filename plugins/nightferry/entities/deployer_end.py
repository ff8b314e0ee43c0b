"""How the deployer in a pod ends, as far as whoever started the pod looks at it."""

from __future__ import annotations

EXIT_DONE = 0
EXIT_PERMANENT = 2
EXIT_TEMPORARY = 3
"""Its exit codes: done, failed for good, failed and may be tried again."""
LAST_WORD = "The deployer ends."
"""Its last line, however it ends: a good moment to look, at its exit code or at the record, for how it ended."""
