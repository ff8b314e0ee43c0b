"""Quantities that ours and Kubernetes' reading of them are compared on."""

from __future__ import annotations

CPUS = ("1", "0.5", ".5", "1.", "100m", "1500m", "0.001", "1e1", "1e-3", "1E3", "2k", "1000000u", "1000000000n", "007")
"""Right for both."""
MEMORIES = ("1", "256Mi", "1Gi", "1.5Gi", "1k", "1M", "1G", "1T", "1P", "1E", "1Ki", "1Ti", "1Pi", "1Ei", "1e3", "1E6")
"""Right for both."""
NEITHER = (
    *(
        "",
        " ",
        "lots",
        "NaN",
        "nan",
        "inf",
        "Infinity",
        "-1",
        "-100m",
        "1 Gi",
        "1\n",
        "1,5",
        "1_000",
        "0x10",
        "٣",
    ),
    *("1ki", "1K", "1mi", "1Mib", "1MB", "1gb", "1Ui", "1e", "1e1.5", "1ee3", "1e3Mi", "1m1", "--1", "1.2.3", "100%"),
)
"""Refused by both."""
OURS_ALONE = (
    " 1",
    "+1",
    "0",
    "0.0",
    "0m",
    "0Gi",
    ".",
    "Mi",
    "+",
    "-",
    "-0",
    "10E",
    "9223372036854775808",
    "1e30",
    "1e999",
)
"""Kubernetes takes these, or counts them as nothing or as the most it can count; no pod can be started with one."""
FINE_CPUS = ("0.1m", "0.0001", "1u", "1n", "100000n")
"""Finer than Kubernetes counts CPUs."""
FINE_MEMORIES = ("400m", "0.5", "1.5", "1u", "0.1Ki")
"""A part of a byte; Kubernetes warns and rounds up."""
