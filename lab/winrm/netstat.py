"""The node's netstat.exe: `-ano`, of Microsoft's page on netstat: what listens on this machine, and who does."""

from __future__ import annotations

import sys

import psutil

from lab.winrm.windows import keep_line_ends, leave

_ROW = "  {:<6} {:<22} {:<22} {:<15} {}\r\n"


def rows() -> list[str]:
    """One line for each socket that listens."""
    found = []
    for each in psutil.net_connections("tcp"):
        if each.status == psutil.CONN_LISTEN and each.pid and each.laddr:
            host, port = each.laddr
            six = ":" in host
            at, nobody = (f"[{host}]:{port}", "[::]:0") if six else (f"{host}:{port}", "0.0.0.0:0")
            found.append(_ROW.format("TCP", at, nobody, "LISTENING", each.pid))
    return found


def main() -> None:
    keep_line_ends()
    if sys.argv[1:] != ["-ano"]:
        sys.stderr.write(f"the lab's netstat.exe does not do this: {sys.argv[1:]}\n")
        leave(70000)
    head = _ROW.format("Proto", "Local Address", "Foreign Address", "State", "PID")
    sys.stdout.write("\r\nActive Connections\r\n\r\n" + head + "".join(rows()))


if __name__ == "__main__":
    main()
