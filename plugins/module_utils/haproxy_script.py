# Copyright: the Tidegate contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What runs on a load balancer's host for one step: one POSIX sh script, with socat, flock and coreutils.

It gets its paths as arguments and its work as lines on standard input:

    lock                  take the host's lock before anything else
    guard <command>       with `expect` lines: what to ask under the lock
    expect <line>         what the answer must hold (`pid 12`, `server b/s <op> <admin>`), or nothing is sent
    send <command line>   one connection each, in this order
    read <command line>   read back, after sending
    dump <backend>        save the backend's state to <folder>/<backend>
    end                   without it the request broke off on its way, and nothing is done

HAProxy has no compare-and-set. The guard is ours: everyone who takes this lock sees the servers as they
were when the caller decided, or sends nothing. The lock's file descriptor is left open in every child, so the
lock is not free before the last of them ended, even when the script itself was killed.
"""

from __future__ import annotations

# One question on standard input to the unix socket `$1`: an answer of at most `$limit` bytes within `$io` seconds.
TALK = r"""talk() { timeout -k 1 "$io" socat -t "$io" -T "$io" - "UNIX-CONNECT:$1" | head -c "$limit"; }
"""

SCRIPT = (
    r"""
set -u
socket=$1 master=$2 lock=$3 wait=$4 folder=$5 limit=$6 io=$7 mark=$8
say() { printf '\n%s %s\n' "$mark" "$*"; }
stop() { say "stopped $*"; exit 0; }
"""
    + TALK
    + r"""ask() { say "answer $1"; printf '%s\n' "$3" | talk "$2"; }

locked='' guard='' expects='' sends='' reads='' dumps='' complete=''
while IFS= read -r line; do
  case $line in
    lock) locked=1 ;;
    'guard '*) guard=${line#guard } ;;
    'expect '*) expects="$expects${line#expect }
" ;;
    'send '*) sends="$sends${line#send }
" ;;
    'read '*) reads=${line#read } ;;
    'dump '*) dumps="$dumps${line#dump }
" ;;
    end) complete=1 ;;
  esac
done
[ "$complete" ] || stop request
for tool in socat timeout flock awk head mktemp; do
  command -v "$tool" >/dev/null 2>&1 || stop tool "$tool"
done
[ -S "$socket" ] || stop socket "$socket"
[ -S "$master" ] || stop socket "$master"

if [ "$locked" ]; then
  [ -z "$folder" ] || { [ -d "$folder" ] && [ -w "$folder" ]; } || stop folder
  (: >>"$lock") 2>/dev/null || stop lockfile
  exec 9>>"$lock"
  flock -w "$wait" 9 || stop lock
fi

if [ "$guard" ]; then
  unmet=$(
    { printf '%s' "$expects"; echo --; printf '%s\n' "$guard" | talk "$socket"; } | awk '
      $0 == "--" { asked = 1; next }
      !asked { want[$0] = 1; next }
      $1 == "Pid:" { delete want["pid " $2] }
      $1 ~ /^[0-9]+$/ && NF > 20 { delete want["server " $2 "/" $4 " " $6 " " $7] }
      END { for (line in want) { print line; exit }; print "met" }'
  )
  [ "$unmet" = met ] || { say "changed $unmet"; sends='' dumps=''; }
fi

printf '%s' "$sends" | while IFS= read -r line; do ask sent "$socket" "$line"; done
[ -z "$reads" ] || ask read "$socket" "$reads"

proc=$(printf 'show proc\n' | talk "$master"; printf .)
say 'answer proc'
printf '%s' "${proc%.}"
old=$(printf '%s\n' "$proc" | awk '/^#/ { old = /^# old workers/; next } old && $1 ~ /^[0-9]+$/ { print $1 }')
for pid in $(printf '%s\n' "$old" | head -n 16); do ask "old $pid" "$master" "@!$pid show stat -1 6 -1"; done

save() {
  new=$(mktemp "$folder/.tidegate.XXXXXX") || return 1
  printf 'show servers state %s\n' "$1" | talk "$socket" >"$new"
  # HAProxy ignores a truncated file as a whole, and says so in a warning only.
  awk 'NR == 1 && $0 != "1" { bad = 1 } { last = $0 } END { exit bad || NR < 4 || last != "" }' "$new" &&
    chmod 644 "$new" && sync "$new" && mv -fT "$new" "$folder/$1" && return 0
  rm -f "$new"
  return 1
}
[ -z "$folder" ] || printf '%s' "$dumps" | while IFS= read -r backend; do
  if save "$backend"; then say "saved $backend"; else say "unsaved $backend"; fi
done
say finished
"""
)
