"""Kubernetes' quantities: `100m` of a CPU, `256Mi` of memory.

The grammar is that of k8s.io/apimachinery, pkg/api/resource/quantity.go. Of what it takes, a service file may use what
a pod can be started with: an amount above zero, without a sign, and no larger than an int64 holds.
tests/contract/service_file/test_quantities.py has a real API server judge the same table.
"""

from __future__ import annotations

import re
from fractions import Fraction

_GRAMMAR = re.compile(
    r"(?P<number>[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:(?P<unit>[numkMGTPE]|[KMGTPE]i)|[eE](?P<exponent>[+-]?[0-9]{1,3}))?",
    re.ASCII,
)
_UNITS = {
    "n": Fraction(1, 10**9),
    "u": Fraction(1, 10**6),
    "m": Fraction(1, 1000),
    **{unit: Fraction(1000) ** power for power, unit in enumerate(("", "k", "M", "G", "T", "P", "E"))},
    **{unit: Fraction(1024) ** power for power, unit in enumerate(("Ki", "Mi", "Gi", "Ti", "Pi", "Ei"), start=1)},
}
_LARGEST = 2**63 - 1
_LONGEST = 64


def amount(text: str) -> Fraction:
    """How much a quantity is, in CPUs or bytes.

    Raises:
        ValueError: it is none that a pod can be started with.
    """
    found = _GRAMMAR.fullmatch(text) if len(text) <= _LONGEST else None
    if not found:
        raise ValueError(f'a quantity of Kubernetes is written like "500m", "2" or "256Mi", not {text[:_LONGEST]!r}')
    scale = Fraction(10) ** int(found["exponent"]) if found["exponent"] else _UNITS[found["unit"] or ""]
    value = Fraction(found["number"]) * scale
    if value <= 0:
        raise ValueError(f"a quantity above zero is wanted, not {text!r}")
    if value > _LARGEST:
        raise ValueError(f"{text!r} is more than Kubernetes can count")
    return value


def cpu(text: str) -> Fraction:
    """An amount of CPUs, which Kubernetes counts in thousandths.

    Raises:
        ValueError: it is none, or finer than that.
    """
    value = amount(text)
    if (value * 1000).denominator != 1:
        raise ValueError(f'CPUs are counted in thousandths ("1m" or 0.001), {text!r} is finer')
    return value


def memory(text: str) -> int:
    """An amount of memory in bytes.

    Raises:
        ValueError: it is none, or has a part of a byte (`400m` is 0.4 bytes; `400Mi` was meant).
    """
    value = amount(text)
    if value.denominator != 1:
        raise ValueError(f'memory is counted in whole bytes, and {text!r} is not: "m" is a thousandth, "Mi" a mebibyte')
    return int(value)
