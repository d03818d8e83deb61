# Copyright: the Tidegate contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The shell side of detached jobs: POSIX sh, Linux's /proc, coreutils and setsid; nothing else on the node.

A job's folder appears by one rename and holds the supervisor's identity from its first moment, so that every
folder is running, ended or lost, and never "perhaps about to start".
"""

from __future__ import annotations

from ansible_collections.tidegate.delivery.plugins.module_utils.node.boot import BOOT

# Output kept in a job's folder: beyond this the older part goes.
OUTPUT_LIMIT = 512 * 1024
# Between TERM and KILL of a job that passed its time limit, in seconds.
KILL_AFTER = 10

# In the environment of a detached job and of what it starts.
DETACHED = "TIDEGATE_JOB"

_PROCESSES = (
    BOOT
    + r"""
born() {  # start time of process $1 in $start; false when it is gone or a zombie
  read -r stat 2>/dev/null </proc/"$1"/stat || return 1
  set -- ${stat##*) }
  [ "$1" != Z ] || return 1
  shift 19; start=$1
}
same() { [ "$3" = "$boot" ] && born "$1" && [ "$start" = "$2" ]; }
identify() { born "$1" && echo "$1 $start $boot"; }
lives() { [ -f "$1" ] && read -r p s b <"$1" && same "$p" "$s" "$b"; }
tree() {  # process $1 and all below it, as pid:start; sessions of their own don't hide them
  found=" $1 "; more=y
  while [ -n "$more" ]; do
    more=
    for entry in /proc/[0-9]*; do
      pid=${entry#/proc/}
      case $found in *" $pid "*) continue ;; esac
      read -r stat 2>/dev/null <"$entry/stat" || continue
      set -- ${stat##*) }
      case $found in *" $2 "*) found="$found$pid "; more=y ;; esac
    done
  done
  for pid in $found; do born "$pid" && printf '%s:%s ' "$pid" "$start"; done
}
left() { for one in $1; do same "${one%:*}" "${one#*:}" "$boot" && printf '%s ' "$one"; done; :; }
end_tree() {  # TERM, $2 seconds of grace, KILL; also for what they started in between
  all=$(tree "$1"); waited=0
  for one in $all; do kill -TERM "${one%:*}" 2>/dev/null; done
  while all=$(left "$all") && [ -n "$all" ] && [ "$waited" -lt "$2" ]; do sleep 1; waited=$((waited + 1)); done
  for one in $all; do all="$all$(tree "${one%:*}") "; done
  for one in $(left "$all"); do kill -KILL "${one%:*}" 2>/dev/null; done
}
uptime() { read -r seconds _ </proc/uptime; echo "${seconds%.*}"; }
hundredths() { read -r seconds _ </proc/uptime; echo "${seconds%.*}${seconds#*.}"; }
"""
)

_STATES = (
    _PROCESSES
    + r"""
state() {  # one line on the job in folder $1: phase, pid, exit code, seconds, rebooted since it began
  [ -d "$1" ] || { echo "absent - - - -"; return; }
  pid=-; rc=-; took=-; began=-
  ! read -r p s b 2>/dev/null <"$1/supervisor" || [ "$b" = "$boot" ] || began=rebooted
  # Alive first, exit code second: who is gone by now has written it before.
  for who in command supervisor; do lives "$1/$who" && { pid=$p; break; }; done
  read -r rc took 2>/dev/null <"$1/rc" || { rc=-; took=-; }
  if [ "$rc" = - ] && [ "$pid" != - ]; then echo "running $pid - - $began"
  elif [ -f "$1/timed_out" ]; then echo "timed_out - $rc $took $began"
  elif [ "$rc" != - ]; then echo "ended - $rc $took $began"
  else echo "lost - - - $began"; fi
}
"""
)

# $1 folder, $2 id, $3 time limit (s), $4 file to keep or "", $5 grace (s), $6 output limit, then the command.
SUPERVISE = (
    _PROCESSES
    + r"""
folder=$1 id=$2 limit=$3 kept=$4 grace=$5 most=$6; shift 6
mask=$(umask); umask 077; cd /
new=$folder/.new.$$
# rename(2) refuses a folder that isn't empty: of two starters one wins, and no half-made job is ever seen.
if rm -rf "$new" && mkdir "$new" && identify $$ >"$new/supervisor" && : >"$new/out" &&
  mv -T "$new" "$folder/$id" 2>/dev/null; then echo started
else rm -rf "$new"; [ -d "$folder/$id" ] && echo adopted || echo failed; exit
fi
dir=$folder/$id
exec </dev/null >/dev/null 2>&1
began=$(uptime); exactly=$(hundredths)
# The command's own shell says who it is before it becomes the command.
sh -c 'dir=$1 boot=$2 mask=$3; shift 3; read -r stat </proc/$$/stat
  echo "$$ $(set -- ${stat##*) }; shift 19; echo "$1") $boot" >"$dir/command"
  umask "$mask"; exec "$@"' job "$dir" "$boot" "$mask" "$@" >>"$dir/out" 2>&1 &
command=$!
(
  born "$command" || exit; mine=$start
  while sleep 1; same "$command" "$mine" "$boot"; do
    if [ "$(wc -c <"$dir/out")" -gt "$most" ]; then tail -c "$most" "$dir/out" >"$dir/out.old"; : >"$dir/out"; fi
    if [ $(($(uptime) - began)) -ge "$limit" ]; then : >"$dir/timed_out"; end_tree "$command" "$grace"; break; fi
  done
) &
wait "$command"; rc=$?
[ -z "$kept" ] || { cp "$kept" "$dir/kept.new" && mv "$dir/kept.new" "$dir/kept"; }
took=$(($(hundredths) - exactly))
printf '%s %d.%02d\n' "$rc" $((took / 100)) $((took % 100)) >"$dir/rc.new" && mv "$dir/rc.new" "$dir/rc"
"""
)

# $1 the supervisor's script, $2 how many finished jobs stay, then what the supervisor gets.
START = (
    _STATES
    + r"""
supervise=$1 most=$2; shift 2
(umask 077; mkdir -p "$1") || exit 1
kept=0
for job in $(ls -1t "$1"); do
  [ "$job" != "$2" ] || continue
  kept=$((kept + 1)); [ "$kept" -gt "$most" ] || continue
  case $(state "$1/$job") in running*) ;; *) rm -rf "${1:?}/$job" ;; esac
done
find "$1" -maxdepth 1 -name '.new.*' -mmin +60 -exec rm -rf {} +
# The supervisor closes this pipe once the job's folder is there: no waiting, no guessing. The variable marks all that
# comes of it: on the controller itself nobody may take it for a process that a playbook left behind.
echo "$("""
    + DETACHED
    + r"""=1 setsid sh -c "$supervise" tidegate-job "$@" &)"
"""
)

# $1 folder, $2 id, $3 how long to wait for its end (s), $4 how much of the output's end to show, $5 a script that tells
# more of a job that is over: its $1 is the job's folder, its $2 our $6.
_WAIT = r"""
dir=$1/$2 until=$(($(uptime) + $3))
while line=$(state "$dir"); case $line in running*) [ "$(uptime)" -lt "$until" ] ;; *) false ;; esac; do sleep 0.2; done
echo "$line"
case $line in running*) ;; *) [ -z "$5" ] || sh -c "$5" tidegate "$dir" "$6" ;; esac
echo; echo output
cat "$dir/out.old" "$dir/out" 2>/dev/null | tail -c "$4"
"""
POLL = _STATES + _WAIT

# $1 to $4: $3 to $6 of POLL; then what START gets.
BEGIN = (
    "wait=$1 tail=$2 script=$3 about=$4; shift 4\n"
    + START
    + r"""
set -- "$1" "$2" "$wait" "$tail" "$script" "$about"
"""
    + _WAIT
)

# $1 folder, $2 the ids' beginning.
FIND = (
    _STATES
    + r"""
for dir in "$1/$2"*; do [ -d "$dir" ] && echo "$(state "$dir") ${dir##*/}"; done
:
"""
)

# $1 folder, $2 id, $3 grace (s).
STOP = (
    _STATES
    + r"""
dir=$1/$2
lives "$dir/command" || exit 0
command=$p; (umask 077; : >"$dir/timed_out"); end_tree "$command" "$3"
"""
)
