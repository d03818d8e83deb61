"""A real nagios4 of a test's own: configured in its folder, run in the foreground as whoever runs the test."""

from __future__ import annotations

import grp
import os
import pwd
import re
import signal
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from tests.waiting import PATIENCE_S, until

PROGRAM = "/usr/sbin/nagios4"
# Of one downtime: host, service (none: the host's own), comment.
Seen = tuple[str, str, str]
_OBJECT = """define {kind} {{
{lines}
}}
"""


@dataclass
class NagiosSite:
    """Hosts and their services, none of which is ever checked by itself: only downtimes are looked at."""

    folder: Path
    objects: Mapping[str, Sequence[str]] = field(default_factory=lambda: {"n1": ("tradeapi", "disk"), "n2": ()})
    retention: bool = True
    process: subprocess.Popen[bytes] | None = None

    @property
    def configuration(self) -> Path:
        return self.folder / "nagios.cfg"

    @property
    def command_file(self) -> Path:
        return self.folder / "rw" / "nagios.cmd"

    @property
    def status(self) -> Path:
        return self.folder / "status.dat"

    @property
    def retained(self) -> Path:
        return self.folder / "retention.dat"

    @property
    def log(self) -> str:
        return (self.folder / "nagios.log").read_text(errors="replace")

    def write(self) -> None:
        """Its configuration, as Debian's main file has it, with paths of its own."""
        for name in ("rw", "spool", "tmp"):
            (self.folder / name).mkdir(parents=True, exist_ok=True)
        at = self.folder
        settings = {
            "log_file": at / "nagios.log",
            "cfg_file": at / "objects.cfg",
            "object_cache_file": at / "objects.cache",
            "status_file": self.status,
            "status_update_interval": 1,
            "nagios_user": pwd.getpwuid(os.getuid()).pw_name,
            "nagios_group": grp.getgrgid(os.getgid()).gr_name,
            "check_external_commands": 1,
            "command_file": self.command_file,
            "query_socket": at / "rw" / "nagios.qh",
            "lock_file": at / "nagios.pid",
            "temp_file": at / "nagios.tmp",
            "temp_path": at / "tmp",
            "check_result_path": at / "spool",
            "state_retention_file": self.retained,
            "retain_state_information": int(self.retention),
            "use_syslog": 0,
            "check_for_updates": 0,
            "illegal_macro_output_chars": "`~$&|'\"<>",
            "check_workers": 1,
        }
        self.configuration.write_text("".join(f"{key}={value}\n" for key, value in settings.items()))
        (at / "objects.cfg").write_text("".join(self._objects()))

    def _objects(self) -> Iterator[str]:
        yield _object("timeperiod", timeperiod_name="always", alias="always", monday="00:00-24:00")
        yield _object("command", command_name="ok", command_line="/bin/true")
        notified = {f"{kind}_notification_{what}": value for kind in ("host", "service") for what, value in _NOTIFIED}
        yield _object("contact", contact_name="ops", **notified)
        for host, services in self.objects.items():
            yield _object("host", host_name=host, address="127.0.0.1", **_UNCHECKED)
            for service in services:
                yield _object("service", host_name=host, service_description=service, **_UNCHECKED)

    def start(self) -> None:
        """Run it until it listens and has written its first state."""
        self.write()
        self.status.unlink(missing_ok=True)
        output = (self.folder / "output.log").open("ab")
        self.process = subprocess.Popen([PROGRAM, str(self.configuration)], stdout=output, stderr=output)
        output.close()
        until(lambda: self.status.exists() and self.listens(), self.said, of=self.process)

    def said(self) -> str:
        return (self.folder / "output.log").read_text(errors="replace")

    def listens(self) -> bool:
        """Whether anybody reads its command file."""
        try:
            os.close(os.open(self.command_file, os.O_WRONLY | os.O_NONBLOCK))
        except OSError:
            return False
        return True

    def end(self, how: int = signal.SIGTERM) -> None:
        """Ended politely, or as a crash would: its command file's reader lives on for a moment then."""
        if self.process is None:
            return
        self.process.send_signal(signal.SIGCONT)
        self.process.send_signal(how)
        self.process.wait(PATIENCE_S)
        self.process = None
        until(lambda: not self.listens(), "nobody reads its command file")

    @contextmanager
    def hanging(self) -> Iterator[None]:
        """Its main process stands still; the reader of its command file goes on."""
        assert self.process is not None
        self.process.send_signal(signal.SIGSTOP)
        try:
            yield
        finally:
            self.process.send_signal(signal.SIGCONT)

    def tell(self, *commands: str) -> None:
        """As a person's script would."""
        with self.command_file.open("w") as fifo:
            fifo.write("".join(f"[{int(time.time())}] {command}\n" for command in commands))

    def downtimes(self) -> list[Seen]:
        """What its retention file has: all that was told before the last save."""
        return _downtimes(self.retained)

    def shown(self) -> list[Seen]:
        """What status.dat says after its next writing: the file that Nagios' own pages show."""
        before = self.status.stat().st_mtime_ns

        def written() -> bool:
            return self.status.exists() and self.status.stat().st_mtime_ns != before

        until(written, "its state is written again")
        return _downtimes(self.status)


def _downtimes(path: Path) -> list[Seen]:
    blocks = re.findall(r"^(?:host|service)downtime \{\n(.*?)\n\t?\}", path.read_text(), re.DOTALL | re.MULTILINE)
    found = [dict(line.strip().split("=", 1) for line in block.splitlines()) for block in blocks]
    return sorted((each["host_name"], each.get("service_description", ""), each["comment"]) for each in found)


_NOTIFIED = (("commands", "ok"), ("period", "always"), ("options", "n"))
_UNCHECKED = {
    "check_command": "ok",
    "active_checks_enabled": "0",
    "max_check_attempts": "1",
    "contacts": "ops",
    "check_period": "always",
    "notification_period": "always",
}


def _object(kind: str, **values: str) -> str:
    return _OBJECT.format(kind=kind, lines="\n".join(f"  {key} {value}" for key, value in values.items()))


@contextmanager
def running(folder: Path, **objects: Sequence[str]) -> Iterator[NagiosSite]:
    """A Nagios for a while."""
    site = NagiosSite(folder, objects) if objects else NagiosSite(folder)
    site.start()
    try:
        yield site
    finally:
        site.end()
