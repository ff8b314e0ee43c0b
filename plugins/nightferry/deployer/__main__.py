"""`python -m nightferry.deployer TASK` is what the deployer's pods run."""

from __future__ import annotations

import sys

from nightferry.deployer import main

if __name__ == "__main__":
    sys.exit(main())
