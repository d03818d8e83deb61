# Copyright: the Tidegate contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the test box's shell does: one run with its queue, cancelling it, and a look at the queue."""

from __future__ import annotations

# POSIX sh with curl, tar, sha256sum, flock, timeout, base64, awk. One queue per work folder.
SCRIPT = r"""
umask 077
eval "$(cat)"
say() { printf '%s ' "$1"; printf '%s' "$2" | base64 -w0; echo; }
say_file() { printf '%s ' "$1"; tail -c "$3" "$2" 2>/dev/null | base64 -w0; echo; }
stop() { say problem "$2"; say stage "$1"; exit 0; }
# By a clock that nobody sets.
now() { read -r up _ </proc/uptime && echo "$up"; }
for tool in curl tar sha256sum flock timeout base64 awk; do
  command -v "$tool" >/dev/null || stop tools "$tool is not installed"
done
command -v "$1" >/dev/null || stop tools "the runner $1 is not installed"
mkdir -p "$work/runs" "$work/queue" || stop tools "can't make $work/runs"

# How to end this run: by its `timeout`, which ends all below it.
for old in "$work"/run.*.pid; do
  read -r pid 2>/dev/null <"$old" && kill -0 "$pid" 2>/dev/null || rm -f "$old"
done
echo "$PPID" >"$work/run.$id.pid" || stop tools "can't write in $work"
trap 'rm -f "$work/run.$id.pid"' EXIT

# Whatever a run leaves behind carries its mark in its environment, daemons and their children too.
end_strays() {
  grep -lzFxs "TIDEGATE_BOX=$work/$1" /proc/[0-9]*/environ 2>/dev/null |
    while IFS=/ read -r _ _ pid _; do kill -KILL "$pid" 2>/dev/null; done
}

trap 'end_strays "$id"; exit 143' TERM HUP INT

# A ticket is a file that its run holds a lock on: that of a run that is gone can be locked.
bury() {
  flock -n "$1" true 2>/dev/null || return 1
  end_strays "${1##*.}"
  rm -rf "$work/runs/"*"-${1##*.}/unpacked"
  rm -f "$1"
}
since=$(now)
waited() { up=$(now) && echo $((${up%.*} - ${since%.*})); }
exec 8>>"$work/lock" || stop tools "can't write $work/lock"
flock -w "$queue_seconds" 8 || stop busy "nobody could enter its queue for $queue_seconds s"
number=1000000000
for other in "$work/queue/"*; do
  [ -e "$other" ] || continue
  bury "$other" && continue
  number=${other##*/}
  number=${number%%.*}
done
ticket="$work/queue/$((number + 1)).$parallel.$id"
exec 9>"$ticket" || stop tools "can't write in $work/queue"
# Not -n: who looks at the queue may hold it for a moment.
flock 9
printf '%s\n' "$about" >"$ticket"
exec 8>&-
trap 'rm -f "$work/run.$id.pid" "$ticket"' EXIT

# It may run beside those that came before it if there are fewer than it and each of them allows.
turn() {
  ahead=0
  most=$parallel
  for other in "$work/queue/"*; do
    [ "$other" != "$ticket" ] || break
    [ -e "$other" ] || continue
    ahead=$((ahead + 1))
    allows=${other##*/}
    allows=${allows#*.}
    allows=${allows%%.*}
    [ "$allows" -ge "$most" ] || most=$allows
    # Only those at the front can hold it up by having died.
    [ "$ahead" -gt "$most" ] || ! bury "$other" || ahead=$((ahead - 1))
  done
  [ "$ahead" -lt "$most" ]
}
ahead_of_it() { cat "$work/queue/"* 2>/dev/null | head -n "$ahead" | head -c 300 | paste -sd ';' -; }
place=
until turn; do
  [ -n "$place" ] || place=$((ahead + 1))
  [ "$(waited)" -lt "$queue_seconds" ] || stop busy \
    "number $((ahead + 1)) in its queue after $queue_seconds s, behind $(ahead_of_it)"
  if [ "$ahead" -lt 4 ]; then sleep 0.3; else sleep 1; fi
done
say place "${place:-1}"
say queued "$(waited)"

run=$work/runs/$(date -u +%Y%m%dT%H%M%S)-$(printf %.12s "$artifact_sha256")-$id
mkdir "$run" "$run/tmp" "$run/unpacked" || stop tools "can't make a folder in $work/runs"
trap 'rm -rf "$run/unpacked" "$run/tmp" "$run/artifact"; rm -f "$work/run.$id.pid" "$ticket"' EXIT
say folder "$run"
# One that has just ended is not read yet: with many in parallel it may be the oldest already.
ls -1 "$work/runs" | sort -r | tail -n "+$((kept + 1))" | while read -r old; do
  [ -d "$work/runs/$old/unpacked" ] || find "$work/runs/$old" -maxdepth 0 -mmin "+$kept_minutes" -exec rm -rf {} +
done

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
say assemblies "$(cd "$run/unpacked/tests" && printf '%s\n' "$assemblies" | while read -r name; do
  sha256sum "$name"
done)"

probe() {
  { printf 'url = "%s"\n' "$2"; [ -z "$aim" ] || printf 'header = "%s"\n' "$aim"; } |
    curl -q -sS --noproxy '*' --connect-timeout 5 --max-time "$probe_seconds" --max-filesize 1048576 \
      -w '%{local_ip}' -D "$run/$1.head" -o "$run/$1.body" -K - 9>&- >"$run/$1.source" 2>"$run/$1.error"
  say "$1.rc" $?
  say_file "$1.error" "$run/$1.error" 400
  say_file "$1.head" "$run/$1.head" 65536
  say_file "$1.body" "$run/$1.body" 1048576
  say_file "$1.source" "$run/$1.source" 100
}
probe before "$probe_before"
answered=$(tr -d '\r' <"$run/before.head" 2>/dev/null | awk -v name="$served_by" '
  { colon = index($0, ":") }
  tolower(substr($0, 1, colon - 1)) == tolower(name) { value = substr($0, colon + 1) }
  END { gsub(/^[ \t]+|[ \t]+$/, "", value); print value }')
[ "$answered" = "$node" ] || stop aim "aimed at $node, answered by ${answered:-nobody who says so}"

began=$(now)
# Not `{ … } 9>&-`: dash would keep a copy, and with it our ticket alive when we are not.
(
  exec 9>&-
  (
    cd "$run" || exit
    # The tests' variables may have the names of ours, PATH too: from here on only the arguments are read.
    set -- "$work/$id" "$run/tmp" "$(command -v timeout)" -k 5 "$run_seconds" "$@"
    export_environment
    export TIDEGATE_BOX="$1" TMPDIR="$2"
    shift 2
    exec "$@" </dev/null
  )
  echo $? >"$run/rc"
  now >"$run/ended"
  end_strays "$id"
) 2>&1 | tail -c 65536 >"$run/console.log" 9>&- &
wait $!
probe after "$probe_after"
say rc "$(cat "$run/rc")"
# Debian's awk has the decimal sign of the box's language.
say seconds "$(echo "$began $(cat "$run/ended")" | LC_ALL=C awk '{ printf "%.3f", $2 - $1 }')"
say_file console "$run/console.log" 4000
stop done ""
"""

# $1 work folder, $2 the run's id. It returns when the run has ended, or after 10 s. One whose output nobody reads any
# more may have ended before, without tidying up: then its pid may be another's by now.
CANCEL = r"""
file=$1/run.$2.pid
read -r pid 2>/dev/null <"$file" || exit 0
runs() { [ "$(cat "/proc/$pid/comm" 2>/dev/null)" = timeout ]; }
runs && kill -TERM "$pid" 2>/dev/null
waited=0
while runs && [ "$waited" -lt 100 ]; do sleep 0.1; waited=$((waited + 1)); done
rm -f "$file"
"""


# $1 work folder. What the runs are about that are there, a line each, in the order of their tickets.
QUEUE = r"""
for ticket in "$1/queue/"*; do
  [ -e "$ticket" ] && ! flock -n "$ticket" true && cat "$ticket"
done 2>/dev/null
exit 0
"""
