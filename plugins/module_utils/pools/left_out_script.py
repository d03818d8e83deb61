# Copyright: the Tidegate contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What runs on the host of a load balancer that is left out: POSIX sh with awk, coreutils, flock and socat.

Its requests come as lines on standard input, paths included: an argument of ours must not pass for one of HAProxy's.

    process <text>        what the command line of this host's HAProxy has; empty: every HAProxy counts
    socket, master, folder, lock <path>; wait <seconds>
    read <backend>        show its saved state
    put <backend> <sum>   write its saved state, if the file's SHA-256 still is this one
    line <text>           a line of what is put
    end                   without it the request broke off on its way, and nothing is done

Looking for an HAProxy goes by processes: one that is starting, hangs, was stopped or only ends its last sessions after
a reload has one, and none carries traffic without one. HAProxy reads its states after it was executed. So what was
written before a look that found no process is what the next one starts with.
"""

from __future__ import annotations

LEFT_OUT = r"""
set -u
mark=$1 process='' socket='' master='' folder='' lock='' wait='' reads='' puts='' complete='' stage=''
say() { printf '\n%s %s\n' "$mark" "$*"; }
stop() { say "stopped $*"; exit 0; }
trap '[ -z "$stage" ] || rm -rf "$stage"' EXIT

while IFS= read -r line; do
  case $line in
    'process '*) process=${line#process } ;;
    'socket '*) socket=${line#socket } ;;
    'master '*) master=${line#master } ;;
    'folder '*) folder=${line#folder } ;;
    'lock '*) lock=${line#lock } ;;
    'wait '*) wait=${line#wait } ;;
    'read '*) reads="$reads${line#read } " ;;
    'put '*)
      [ "$stage" ] || stage=$(mktemp -d "$folder/.tidegate.XXXXXX") || stop folder
      target=${line#put }
      puts="$puts${target%% *} "
      printf '%s\n' "${target#* }" >"$stage/${target%% *}.sum"
      : >"$stage/${target%% *}"
      ;;
    'line '*) printf '%s\n' "${line#line }" >>"$stage/${target%% *}" ;;
    end) complete=1 ;;
  esac
done
[ "$complete" ] || stop request
for tool in awk flock mktemp sha256sum socat timeout; do
  command -v "$tool" >/dev/null 2>&1 || stop tool "$tool"
done

# Each process that may be this host's HAProxy: by its name, or by the master's socket among its arguments.
processes() {
  { grep -lE '^\(?(haproxy|hapee)' /proc/[0-9]*/comm; grep -lF -e "$master" /proc/[0-9]*/cmdline; } 2>/dev/null |
    awk -F / '!seen[$3]++ { print $3 }' |
    while IFS= read -r pid; do
      { read -r name <"/proc/$pid/comm" && read -r stat <"/proc/$pid/stat"; } 2>/dev/null || continue
      # A zombie has nothing open any more.
      case ${stat##*') '} in Z* | X*) continue ;; esac
      words=" $(tr '\0' ' ' <"/proc/$pid/cmdline" 2>/dev/null) "
      case $words in
        *" -S $master "* | *" -S $master,"*) ;;
        *)
          case $name in haproxy* | hapee* | '(haproxy'* | '(hapee'*) ;; *) continue ;; esac
          case $words in *"$process"*) ;; *) continue ;; esac
          ;;
      esac
      printf 'process %s: %.200s\n' "$pid" "$words"
    done
}
# HAProxy binds its sockets under a name of their own and renames them: the kernel goes on showing the first.
sockets() {
  awk -v admin="$socket" -v master="$master" '
    function of(path) { return $8 == path || (index($8, path ".") == 1 && $8 ~ /\.tmp$/) }
    of(admin) || of(master) { print "socket " $8 }' /proc/net/unix
}
# The paths may be other names for those that it bound. A kernel that can't queue us has somebody who listens, too.
listeners() {
  for each in "$socket" "$master"; do
    [ -S "$each" ] || continue
    timeout -k 1 2 socat -u OPEN:/dev/null "UNIX-CONNECT:$each" >/dev/null 2>&1 9>&-
    case $? in 0 | 124 | 137) printf 'socket %s: somebody listens\n' "$each" ;; esac
  done
}
alive() { processes; sockets; listeners; }

cat /proc/1/comm >/dev/null 2>&1 && [ -r /proc/net/unix ] || stop blind
if [ "$lock" ]; then
  (: >>"$lock") 2>/dev/null || stop lockfile
  exec 9>>"$lock"
  flock -w "$wait" 9 || stop lock
  # Who waited for it may be dead: then this ends us.
  say locked || exit 1
fi
found=$(alive)
[ -z "$found" ] || { say "alive $found"; say finished; exit 0; }
for backend in $reads; do
  [ -f "$folder/$backend" ] || { say "unsaved $backend"; continue; }
  say "saved $backend"
  cat "$folder/$backend"
done
for backend in $puts; do
  sum=$(sha256sum <"$folder/$backend") || stop folder
  [ "${sum%% *}" = "$(cat "$stage/$backend.sum")" ] || { say "changed $backend"; say finished; exit 0; }
done
for backend in $puts; do
  chmod 644 "$stage/$backend" && sync "$stage/$backend" && mv -fT "$stage/$backend" "$folder/$backend" || stop folder
done
# One that was executed before the files were in place may have read the old ones.
[ -z "$puts" ] || { found=$(alive); [ -z "$found" ] || say "started $found"; }
say finished
"""
