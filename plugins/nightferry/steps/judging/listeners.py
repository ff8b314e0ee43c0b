"""Which ports are listened on in this process's network namespace, as the kernel says: proc(5), /proc/net/tcp."""

from __future__ import annotations

import ipaddress
import struct
from dataclasses import dataclass
from pathlib import Path

PROC = Path("/proc/net")
LISTEN = "0A"
_ENGINES_DNS = ipaddress.ip_network("127.0.0.11/32")
"""Docker answers for names there, inside every container of a network of its own."""
_Address = ipaddress.IPv4Address | ipaddress.IPv6Address


@dataclass(frozen=True)
class Listener:
    """One address and port that somebody listens on."""

    address: _Address
    port: int

    @property
    def is_alone(self) -> bool:
        """Whether only this machine, or this pod, reaches it."""
        return self.address.is_loopback


def listeners(proc: Path = PROC) -> tuple[Listener, ...] | None:
    """All of them; None where the kernel does not tell."""
    found: list[Listener] | None = None
    for name in ("tcp", "tcp6"):
        try:
            lines = (proc / name).read_text(encoding="ascii").splitlines()[1:]
        except (OSError, ValueError):
            continue
        found = found or []
        found += [_listener(words[1]) for line in lines if (words := line.split())[3:4] == [LISTEN]]
    return None if found is None else tuple(one for one in found if one.address not in _ENGINES_DNS)


def _listener(text: str) -> Listener:
    address, _, port = text.partition(":")
    words = [int(address[start : start + 8], 16) for start in range(0, len(address), 8)]
    packed = struct.pack(f"={len(words)}I", *words)  # each word is written as this machine has it
    found: _Address = ipaddress.IPv4Address(packed) if len(packed) == 4 else ipaddress.IPv6Address(packed)
    mapped = getattr(found, "ipv4_mapped", None)
    return Listener(mapped or found, int(port, 16))
