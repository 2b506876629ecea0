"""Which process is at the other end of a connection, and ending it the way a power cut would.

The tests of what survives a crash need the crash at an exact moment of a provider call. Only the provider
knows that moment, so the simulator looks up the caller: its socket in ``/proc/net/tcp``, the socket's holder
in ``/proc/*/fd``. Linux only. The simulator never kills itself.
"""

from __future__ import annotations

import ipaddress
import os
import signal
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

PROC: Final = Path("/proc")


@dataclass(frozen=True, slots=True)
class Address:
    """One end of a TCP connection as the socket module names it."""

    host: str
    port: int

    def plain(self) -> tuple[str, int]:
        """Comparable form: an IPv4 address inside IPv6 is the IPv4 address."""
        ip = ipaddress.ip_address(self.host.partition("%")[0])
        mapped = ip.ipv4_mapped if isinstance(ip, ipaddress.IPv6Address) else None
        return str(mapped or ip), self.port


def _kernel_address(text: str) -> tuple[str, int]:
    """``0100007F:1F90`` is 127.0.0.1:8080: 32-bit words in the machine's order, the port in hexadecimal."""
    words, port = text.split(":")
    raw = b"".join(struct.pack("=I", int(words[i : i + 8], 16)) for i in range(0, len(words), 8))
    return Address(str(ipaddress.ip_address(raw)), int(port, 16)).plain()


def _inodes(caller: Address, here: Address) -> Iterator[str]:
    for table in ("tcp", "tcp6"):
        path = PROC / "self" / "net" / table
        if not path.exists():
            continue
        for line in path.read_text(encoding="ascii").splitlines()[1:]:
            columns = line.split()
            ends = _kernel_address(columns[1]), _kernel_address(columns[2])
            if ends == (caller.plain(), here.plain()):
                yield columns[9]


def processes_at(caller: Address, here: Address) -> list[int]:
    """Ids of the processes that hold the caller's end of a connection; empty when nobody is found."""
    wanted = {f"socket:[{inode}]" for inode in _inodes(caller, here) if inode != "0"}
    if not wanted:
        return []
    found = []
    for folder in PROC.iterdir():
        if folder.name.isdigit() and _holds(folder / "fd", wanted):
            found.append(int(folder.name))
    return sorted(found)


def _holds(descriptors: Path, wanted: set[str]) -> bool:
    try:
        entries = list(os.scandir(descriptors))
    except OSError:  # the process ended meanwhile, or belongs to somebody else
        return False
    return any(_target(entry.path) in wanted for entry in entries)


def _target(descriptor: str) -> str:
    try:
        return os.readlink(descriptor)
    except OSError:  # closed since it was listed
        return ""


def kill(holders: list[int]) -> tuple[list[int], str | None]:
    """SIGKILL these processes. Answers (ids killed, None) or ([], why nobody was)."""
    if not holders:
        return [], "no process holds the caller's end of the connection"
    if os.getpid() in holders:
        return [], "the caller is this very process"
    killed = []
    for pid in holders:
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            continue
        killed.append(pid)
    return killed, None if killed else "the caller had already ended"
