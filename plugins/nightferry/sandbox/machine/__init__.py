"""The machine below the sandbox: packages, ports, the bridge, control groups, and what must be gone again."""
