# Copyright: the Tidegate contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One run of NUnit on a test box: what the box's shell is told, and what it reports.

All inputs go to the box through standard input, so that none of them stands in its process list.
"""

from __future__ import annotations

import base64
import binascii
import re
import secrets
import shlex
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from enum import StrEnum

from ansible_collections.tidegate.delivery.plugins.module_utils.errors import (
    BadInput,
    DomainError,
    Stopped,
    Unreachable,
)
from ansible_collections.tidegate.delivery.plugins.module_utils.excerpt import excerpt
from ansible_collections.tidegate.delivery.plugins.module_utils.http_answer import Answer
from ansible_collections.tidegate.delivery.plugins.module_utils.node import Completed, Node
from ansible_collections.tidegate.delivery.plugins.module_utils.stopping import NEVER, Stopping

_RESULTS = "results.xml"
ARTIFACT_LIMIT = 1024 * 1024 * 1024
KEPT_RUNS = 5
FETCH_SECONDS = 300
_CANCEL_SECONDS = 10
PROBE_SECONDS = 10
# Fetching, unpacking, two probes and the runner's own end, beside its time limit.
_AROUND_THE_RUN = FETCH_SECONDS + 120 + 2 * PROBE_SECONDS + 30
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,199}")
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,199}")
_URL = re.compile(r"https?://[!#-\[\]-~]{1,2000}")
_SHA256 = re.compile(r"[0-9a-f]{64}")


class Stage(StrEnum):
    """How far the box came; every one but DONE ended the run."""

    TOOLS = "tools"
    BUSY = "busy"
    FETCH = "fetch"
    DIGEST = "digest"
    UNPACK = "unpack"
    ASSEMBLY = "assembly"
    AIM = "aim"
    DONE = "done"


@dataclass(frozen=True, slots=True)
class BoxRun:
    """What the box shall do; times in seconds. Raises BadInput for what could be read as something else there."""

    work_dir: str
    artifact_url: str
    artifact_sha256: str
    assemblies: tuple[str, ...]
    runner: tuple[str, ...]
    probe_url: str
    aim_header: str
    served_by: str
    node: str
    timeout: float
    queue_timeout: float
    id: str = field(default_factory=lambda: secrets.token_hex(8))
    """Under which the run can be cancelled."""
    settings: Mapping[str, str] = field(default_factory=dict)
    """What the tests get in their environment and anybody may see."""
    secrets: Mapping[str, str] = field(default_factory=dict)
    """What they get there besides; the values are blotted out of all that comes back."""

    def __post_init__(self) -> None:
        checks = [
            ("work_dir", self.work_dir.startswith("/") and self.work_dir.isprintable(), "an absolute path"),
            ("artifact.url", bool(_URL.fullmatch(self.artifact_url)), "an http URL"),
            ("artifact.sha256", bool(_SHA256.fullmatch(self.artifact_sha256)), "64 hexadecimal digits"),
            ("url", bool(_URL.fullmatch(self.probe_url)), "an http URL"),
            ("node", bool(_NAME.fullmatch(self.node)), "a name of letters, digits, dots and dashes"),
            ("aim.header", bool(_NAME.fullmatch(self.aim_header)), "a header's name"),
            ("aim.served_by", bool(_NAME.fullmatch(self.served_by)), "a header's name"),
            ("runner", bool(self.runner) and all(self.runner), "a program with its arguments"),
            ("assemblies", bool(self.assemblies), "at least one file name"),
            *(("assemblies", bool(_NAME.fullmatch(name)), "file names without folders") for name in self.assemblies),
            *(("environment", bool(_VARIABLE.fullmatch(name)), "names of variables") for name in self.environment),
            ("environment", not any("\0" in value for value in self.environment.values()), "text without NUL"),
        ]
        for where, fits, wanted in checks:
            if not fits:
                raise BadInput(f"{where} can't be used on the test box", where=where, remedy=f"Give {wanted}")

    @property
    def environment(self) -> dict[str, str]:
        """All that the tests get; nothing takes the place of our own settings."""
        return {**self.secrets, **self.settings}

    @property
    def argv(self) -> list[str]:
        """The runner's command line, relative to the run's folder; `{results}` names the results file."""
        own = any("{results}" in word for word in self.runner)
        told = [] if own else ["-nologo", f"-xml:{_RESULTS}"]
        words = [word.replace("{results}", _RESULTS) for word in self.runner]
        return [*words, *told, *(f"unpacked/tests/{name}" for name in self.assemblies)]

    @property
    def deadline(self) -> float:
        """The most seconds that all of it may take on the box."""
        return self.queue_timeout + _AROUND_THE_RUN + self.timeout


@dataclass(frozen=True, slots=True)
class BoxReport:
    """What the box reported: how far it came and why it ended there, the runner's end, and who answered the probes."""

    stage: Stage
    problem: str = ""
    folder: str = ""
    runner_rc: int | None = None
    runner_seconds: float = 0.0
    console: str = ""
    probes: Mapping[str, Answer] = field(default_factory=dict)

    @property
    def results_path(self) -> str:
        return f"{self.folder}/{_RESULTS}"


def run_on_box(box: Node, run: BoxRun, stopping: Stopping = NEVER) -> BoxReport:
    """Do it: queue, fetch, verify, unpack, probe, run, probe.

    Raises Unreachable, DeadlineExceeded, or Stopped when somebody asked to stop: the run on the box is ended then.
    """
    done = _waited_for(box, run, stopping)
    if done.rc != 0:
        why = excerpt(done.stderr[-400:], 300) or f"exit code {done.rc}"
        return BoxReport(Stage.TOOLS, f"the shell on the box ended: {why}")
    return read_report(done.stdout)


def _waited_for(box: Node, run: BoxRun, stopping: Stopping) -> Completed:
    try:
        with stopping.cut_short():
            return box.sh(_SCRIPT, stdin=box_inputs(run), timeout=run.deadline)
    except Unreachable:
        try:
            stopping.look("while the tests ran; they are ended")
        except Stopped:
            # Should that fail, too, the next run waits for this one's end.
            with suppress(DomainError):
                cancel(box, run)
            raise
        raise


def cancel(box: Node, run: BoxRun) -> None:
    """End the run on the box, as its deadline would, whether it waits there or runs; nothing when it is over."""
    box.sh(_CANCEL, run.work_dir.rstrip("/") or "/", run.id, timeout=_CANCEL_SECONDS + 5)


def box_inputs(run: BoxRun) -> bytes:
    """The inputs as assignments for the box's shell, every value quoted."""
    values = {
        "id": run.id,
        "work": run.work_dir.rstrip("/") or "/",
        "artifact_url": run.artifact_url,
        "artifact_sha256": run.artifact_sha256,
        "artifact_limit": str(ARTIFACT_LIMIT),
        "fetch_seconds": str(FETCH_SECONDS),
        "probe_seconds": str(PROBE_SECONDS),
        "assemblies": "\n".join(run.assemblies),
        "probe_url": run.probe_url,
        "aim_header": run.aim_header,
        "served_by": run.served_by,
        "node": run.node,
        "run_seconds": _whole(run.timeout),
        "queue_seconds": _whole(run.queue_timeout),
        "kept": str(KEPT_RUNS),
    }
    lines = [f"{name}={shlex.quote(value)}" for name, value in values.items()]
    exports = [f"export {name}={shlex.quote(value)}" for name, value in run.environment.items()]
    # A function, so that only the runner gets the environment, and no other program of the script.
    lines += ["export_environment() {", ":", *exports, "}", f"set -- {shlex.join(run.argv)}"]
    return ("\n".join(lines) + "\n").encode()


def _whole(seconds: float) -> str:
    return str(max(1, round(seconds)))


def read_report(output: bytes) -> BoxReport:
    """The report from the script's output: one `name value` a line, the values in base64.

    Raises BadInput for an output that did not come from the script.
    """
    told: dict[str, bytes] = {}
    try:
        for line in output.decode("ascii").splitlines():
            name, _, value = line.partition(" ")
            told[name] = base64.b64decode(value, validate=True)
        stage = Stage(_told(told, "stage"))
    except (UnicodeDecodeError, binascii.Error, ValueError):
        raise BadInput(
            f"the report of the test box can't be read: {excerpt(output[-200:], 150)!r}",
            where="test box",
            remedy="Look whether its login shell prints something of its own",
        ) from None
    code = _told(told, "rc")
    return BoxReport(
        stage,
        excerpt(_told(told, "problem"), 400),
        _told(told, "folder"),
        int(code) if code.isdigit() else None,
        float(_told(told, "seconds") or 0),
        _told(told, "console"),
        {when: _probe(told, when) for when in ("before", "after") if f"{when}.rc" in told},
    )


def _told(told: Mapping[str, bytes], name: str) -> str:
    return told.get(name, b"").decode(errors="replace").strip()


def _probe(told: Mapping[str, bytes], when: str) -> Answer:
    if _told(told, f"{when}.rc") != "0":
        return Answer(0.0, 0.0, problem=excerpt(_told(told, f"{when}.error"), 200) or "no answer")
    lines = _told(told, f"{when}.head").splitlines()
    headers = {name.strip().lower(): value.strip() for name, _, value in (line.partition(":") for line in lines[1:])}
    status = lines[0].split()[1:2] if lines else []
    if not status or not status[0].isdigit():
        return Answer(0.0, 0.0, problem="the answer has no status")
    return Answer(0.0, 0.0, int(status[0]), headers, told.get(f"{when}.body", b""))


# POSIX sh with curl, tar, sha256sum, flock, timeout, base64, awk. One run at a time per work folder.
_SCRIPT = r"""
umask 077
eval "$(cat)"
say() { printf '%s ' "$1"; printf '%s' "$2" | base64 -w0; echo; }
say_file() { printf '%s ' "$1"; tail -c "$3" "$2" 2>/dev/null | base64 -w0; echo; }
stop() { say problem "$2"; say stage "$1"; exit 0; }
for tool in curl tar sha256sum flock timeout base64 awk; do
  command -v "$tool" >/dev/null || stop tools "$tool is not installed"
done
command -v "$1" >/dev/null || stop tools "the runner $1 is not installed"
mkdir -p "$work/runs" || stop tools "can't make $work/runs"

# How to end this run: by its `timeout`, which ends all below it.
for old in "$work"/run.*.pid; do
  read -r pid 2>/dev/null <"$old" && kill -0 "$pid" 2>/dev/null || rm -f "$old"
done
echo "$PPID" >"$work/run.$id.pid" || stop tools "can't write in $work"
trap 'rm -f "$work/run.$id.pid"' EXIT

exec 9>>"$work/lock" || stop tools "can't write $work/lock"
flock -w "$queue_seconds" 9 || stop busy "another run held the box for $queue_seconds s"

# Whatever a run leaves behind carries this mark in its environment, daemons and their children too.
end_strays() {
  grep -lzFxs "TIDEGATE_BOX=$work" /proc/[0-9]*/environ 2>/dev/null |
    while IFS=/ read -r _ _ pid _; do kill -KILL "$pid" 2>/dev/null; done
}
trap 'end_strays; exit 143' TERM HUP INT
end_strays

run=$(mktemp -d "$work/runs/$(date -u +%Y%m%dT%H%M%S).XXXXXX") || stop tools "can't make a folder in $work/runs"
say folder "$run"
mkdir "$run/tmp" "$run/unpacked"
ls -1 "$work/runs" | sort -r | tail -n "+$((kept + 1))" | while read -r old; do rm -rf "$work/runs/$old"; done

# The URL travels on standard input, the program's arguments are public.
printf 'url = "%s"\n' "$artifact_url" | (
  ulimit -f "$((artifact_limit / 512))"
  curl -q -sS --fail --location --max-redirs 3 --proto '=http,https' --connect-timeout 10 \
    --max-time "$fetch_seconds" --max-filesize "$artifact_limit" -o "$run/artifact" -K - 9>&- 2>"$run/fetch.err"
) || stop fetch "$(tail -c 300 "$run/fetch.err")"
actual=$(sha256sum <"$run/artifact")
actual=${actual%% *}
[ "$actual" = "$artifact_sha256" ] || stop digest "its SHA-256 is $actual"

timeout 60 tar -tf "$run/artifact" >"$run/names" 2>"$run/tar.err" || stop unpack "$(tail -c 300 "$run/tar.err")"
timeout 60 tar --numeric-owner -tvf "$run/artifact" >"$run/entries" 2>>"$run/tar.err"
outside=$(grep -E -m1 '^/|(^|/)\.\.(/|$)' "$run/names") && stop unpack "it has a path that leads outside: $outside"
special=$(grep -E -m1 '^[^-d]' "$run/entries") && stop unpack "it has a link or device: $special"
awk -v most="$artifact_limit" '{ sum += $3 } END { exit sum > most }' "$run/entries" ||
  stop unpack "it unpacks to more than $artifact_limit bytes"
timeout 120 tar -xf "$run/artifact" -C "$run/unpacked" --no-same-owner 2>"$run/tar.err" ||
  stop unpack "$(tail -c 300 "$run/tar.err")"
rm -f "$run/artifact" "$run/names" "$run/entries"
missing=$(printf '%s\n' "$assemblies" | while read -r name; do
  [ -f "$run/unpacked/tests/$name" ] || printf '%s ' "$name"
done)
[ -z "$missing" ] || stop assembly "its tests folder lacks $missing"

probe() {
  printf 'url = "%s"\nheader = "%s: %s"\n' "$probe_url" "$aim_header" "$node" |
    curl -q -sS --noproxy '*' --connect-timeout 5 --max-time "$probe_seconds" --max-filesize 1048576 \
      -D "$run/$1.head" -o "$run/$1.body" -K - 9>&- 2>"$run/$1.error"
  say "$1.rc" $?
  say_file "$1.error" "$run/$1.error" 400
  say_file "$1.head" "$run/$1.head" 65536
  say_file "$1.body" "$run/$1.body" 1048576
}
probe before
answered=$(tr -d '\r' <"$run/before.head" 2>/dev/null | awk -v name="$served_by" '
  { colon = index($0, ":") }
  tolower(substr($0, 1, colon - 1)) == tolower(name) { value = substr($0, colon + 1) }
  END { gsub(/^[ \t]+|[ \t]+$/, "", value); print value }')
[ "$answered" = "$node" ] || stop aim "aimed at $node, answered by ${answered:-nobody who says so}"

began=$(date +%s.%N)
{
  (
    export_environment
    export TIDEGATE_BOX="$work" TMPDIR="$run/tmp"
    cd "$run" && exec timeout -k 5 "$run_seconds" "$@" 9>&- </dev/null
  )
  echo $? >"$run/rc"
  date +%s.%N >"$run/ended"
  end_strays
} 9>&- 2>&1 | tail -c 65536 >"$run/console.log" 9>&- &
wait $!
probe after
say rc "$(cat "$run/rc")"
say seconds "$(echo "$began $(cat "$run/ended")" | awk '{ printf "%.3f", $2 - $1 }')"
say_file console "$run/console.log" 4000
rm -rf "$run/tmp"
stop done ""
"""

# $1 work folder, $2 the run's id. It returns when the run has ended, or after 10 s. One whose output nobody reads any
# more may have ended before, without tidying up: then its pid may be another's by now.
_CANCEL = r"""
file=$1/run.$2.pid
read -r pid 2>/dev/null <"$file" || exit 0
runs() { [ "$(cat "/proc/$pid/comm" 2>/dev/null)" = timeout ]; }
runs && kill -TERM "$pid" 2>/dev/null
waited=0
while runs && [ "$waited" -lt 100 ]; do sleep 0.1; waited=$((waited + 1)); done
rm -f "$file"
"""
