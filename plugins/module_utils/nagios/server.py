# Copyright: the Tidegate contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A Nagios 4 server: where it keeps things, what it is told through its FIFO, and what its state file says then.

The FIFO never answers. Every batch of commands therefore ends with SAVE_STATE_INFORMATION, which makes Nagios write its
retention file at once (10 ms, where status.dat may take `status_update_interval`) and in the order of the FIFO: what
that file says, Nagios has done. It also makes a downtime outlive a crash of Nagios, which loses whatever was not saved
since the last hour. Observed on Nagios Core 4.4.6 (docs/nagios.md); status.dat is read where retention is switched off.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from ansible_collections.tidegate.delivery.plugins.module_utils.errors import (
    BadInput,
    DeadlineExceeded,
    DomainError,
    Unreachable,
)
from ansible_collections.tidegate.delivery.plugins.module_utils.nagios.script import ASK, Refusal
from ansible_collections.tidegate.delivery.plugins.module_utils.node.node import Node

# Debian's, RHEL's, and the one of whoever builds it.
CONFIGURATIONS = ("/etc/nagios4/nagios.cfg", "/etc/nagios/nagios.cfg", "/usr/local/nagios/etc/nagios.cfg")
# How long Nagios may take for a batch; docs/nagios.md says what it took.
ANSWER_S = 30.0
_CONFIGURATION_LIMIT = 1024 * 1024
_STATE_LIMIT = 4 * 1024 * 1024
_LONGEST_LINE = 1000
# What a FIFO takes in one piece, whoever else writes (PIPE_BUF on Linux).
_CHUNK = 4096
_HOSTS_LIMIT = 64 * 1024
_OBJECTS = ("host", "service")
_DOWNTIMES = ("hostdowntime", "servicedowntime")


@dataclass(frozen=True, slots=True)
class Nagios:
    """Where a running Nagios takes commands and writes its state, as its main configuration file says.

    `interval_s`: how often it writes that file by itself; 0 where it writes it when told to.
    """

    command_file: str
    state_file: str
    interval_s: float = 0.0


@dataclass(frozen=True, slots=True)
class Downtime:
    """One scheduled downtime; `service` is empty for the host's own. `start` and `end` are Nagios' Unix seconds.

    `in_effect`: it has begun, which Nagios does a moment after `start`.
    """

    host: str
    service: str
    start: int
    end: int
    author: str
    comment: str
    in_effect: bool = True


@dataclass(frozen=True, slots=True)
class State:
    """What Nagios knew at `now`, a Unix time of its own clock: each host's services by its name, and the downtimes."""

    now: int
    services: dict[str, tuple[str, ...]]
    downtimes: tuple[Downtime, ...]

    def of(self, host: str) -> tuple[Downtime, ...]:
        """The downtimes of a host and its services."""
        return tuple(each for each in self.downtimes if each.host == host)


def find_nagios(node: Node, configuration: str = "") -> Nagios:
    """The Nagios of that main configuration file, or of the first that is in a usual place.

    Raises BadInput when there is none, or it takes no commands, or doesn't say where things are.
    """
    for path in (configuration,) if configuration else CONFIGURATIONS:
        data = node.read(path, limit=_CONFIGURATION_LIMIT)
        if data is not None:
            return read_configuration(data.decode(errors="backslashreplace"), f"{node.name}: {path}")
    raise BadInput(
        "there is no configuration of Nagios",
        where=f"{node.name}: {configuration or ', '.join(CONFIGURATIONS)}",
        remedy="Set tidegate_nagios_config of that host to Nagios' main configuration file",
    )


def read_configuration(text: str, where: str) -> Nagios:
    """What a main configuration file says; as in Nagios, the last word counts. Raises BadInput, which names `where`."""
    said: dict[str, str] = {}
    for line in text.splitlines():
        key, equals, value = line.strip().partition("=")
        if equals and not key.startswith("#"):
            said[key.strip()] = value.strip()
    if said.get("check_external_commands", "1") != "1":
        raise BadInput(
            "Nagios takes no external commands", where=where, remedy="Set check_external_commands=1 and restart it"
        )
    retains = said.get("retain_state_information", "0") == "1" and bool(said.get("state_retention_file"))
    state_key = "state_retention_file" if retains else "status_file"
    for key in ("command_file", state_key):
        if not said.get(key, "").startswith("/"):
            raise BadInput(f"{key} is {said.get(key, 'not set')!r}", where=where, remedy=f"Set {key} to its path")
    if retains:
        return Nagios(said["command_file"], said[state_key])
    try:
        interval = min(max(float(said.get("status_update_interval", "60")), 1.0), 3600.0)
    except ValueError:
        interval = 60.0
    return Nagios(said["command_file"], said[state_key], interval)


def ask(node: Node, nagios: Nagios, hosts: Sequence[str], commands: Sequence[str] = ()) -> State:
    """Give Nagios commands, all or none of each, and return what it knows after them about `hosts`; of none, about all.

    Raises BadInput when it does not run, Unreachable or DeadlineExceeded when no answer came: the commands may have
    been taken then, and may still be acted on.
    """
    chunks = list(_chunks([*commands]))
    names = "\n".join(hosts)
    if len(names) > _HOSTS_LIMIT:
        raise BadInput(f"{len(hosts)} hosts are too many at once", where=node.name, remedy="Make the waves smaller")
    deadline = ANSWER_S + 2 * nagios.interval_s
    sizes = " ".join(str(len(chunk)) for chunk in chunks)
    done = node.sh(
        ASK,
        *(nagios.command_file, nagios.state_file, str(int(deadline)), sizes, names, str(_STATE_LIMIT)),
        stdin=b"".join(chunks),
        timeout=deadline + 10,
    )
    if done.rc != 0:
        said = done.complaint
        raise _refused(done.rc, said, node.name, nagios, deadline)
    if len(done.stdout) >= _STATE_LIMIT:
        raise BadInput(
            f"Nagios tells more than {_STATE_LIMIT} bytes about them",
            where=f"{node.name}: {nagios.state_file}",
            remedy="Look at that file",
        )
    return read_state(done.stdout.decode(errors="backslashreplace"), f"{node.name}: {nagios.state_file}")


def _chunks(commands: Sequence[str]) -> Iterator[bytes]:
    """Lines in pieces that a FIFO takes whole, so that nobody else's command ends up in the middle of one of ours.

    No line is empty: Nagios 4.4.6 reads the next command wrongly after one.
    """
    chunk = b""
    for command in commands:
        line = f"{command}\n".encode(errors="replace")
        if "\n" in command or len(line) > _LONGEST_LINE:
            raise BadInput(f"{command[:120]!r} is no command", where="Nagios", remedy="Shorten the names in it")
        if len(chunk) + len(line) > _CHUNK:
            yield chunk
            chunk = b""
        chunk += line
    if chunk:
        yield chunk


def read_state(text: str, where: str) -> State:
    """Parse a state file (retention.dat or status.dat), whole or the parts that the script picks out of it.

    The script puts `now` before it; of a file, `created` is taken. Raises BadInput when it has neither.
    """
    now, services, downtimes = 0, dict[str, list[str]](), list[Downtime]()
    for kind, values in _blocks(text):
        host, service = values.get("host_name", ""), values.get("service_description", "")
        if kind == "info":
            now = _number(values.get("now") or values.get("created", ""))
        elif kind.removesuffix("status") in _OBJECTS and host:
            services.setdefault(host, []).extend([service] if service else [])
        elif kind in _DOWNTIMES and host:
            start, end = _number(values.get("start_time", "")), _number(values.get("end_time", ""))
            author, comment = values.get("author", ""), values.get("comment", "")
            begun = values.get("is_in_effect", "1") != "0"
            downtimes.append(Downtime(host, service, start, end, author, comment, begun))
    if not now:
        raise BadInput("this is no state of Nagios: it says no time", where=where, remedy="Look at that file")
    return State(now, {host: tuple(names) for host, names in services.items()}, tuple(downtimes))


def _blocks(text: str) -> Iterator[tuple[str, dict[str, str]]]:
    kind, values = "", dict[str, str]()
    for line in text.split("\n"):
        stripped = line.strip()
        if stripped.endswith(" {") and "=" not in stripped:
            kind, values = stripped.removesuffix(" {"), {}
        elif stripped == "}":
            if kind:
                yield kind, values
            kind = ""
        elif kind:
            key, _, value = stripped.partition("=")
            values[key] = value


def _number(text: str) -> int:
    return int(text) if text.isascii() and text.isdecimal() and len(text) < 16 else 0


def _refused(rc: int, said: str, where: str, nagios: Nagios, deadline: float) -> DomainError:
    """What the script's exit code means."""
    refusal = Refusal(rc) if rc in list(Refusal) else None
    if refusal is Refusal.NOT_RUNNING:
        return BadInput(
            "Nagios does not run: nobody reads its command file",
            where=f"{where}: {nagios.command_file}",
            remedy="Start it, then run the same again",
        )
    if refusal is Refusal.MAY_NOT:
        return BadInput(
            "Nagios' command file may not be written, or its state not be read",
            where=f"{where}: {nagios.command_file}, {nagios.state_file}",
            remedy="Let the connection's user be root or Nagios' own (become)",
        )
    if refusal is Refusal.NO_ANSWER:
        return DeadlineExceeded(
            f"Nagios did not write its state within {deadline:.0f} s; it may still act on what it was told",
            where=f"{where}: {nagios.state_file}",
            remedy="Look whether it hangs, at its log, and at the disk; then run the same again",
        )
    return Unreachable(
        f"Nagios could not be asked (exit code {rc}): {said}",
        where=where,
        remedy="Look at its command file and its state file there; it may still act on what it was told",
    )
