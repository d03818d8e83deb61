# Copyright: the Tidegate contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What runs on a load balancer's host for one step: one POSIX sh script, with socat, flock and coreutils.

It gets its paths as arguments and its work as lines on standard input:

    lock                  take the host's lock before anything else
    guard <command>       with `expect` lines: what to ask under the lock
    expect <line>         what the answer must hold (`pid 12`, `server b/s <op> <admin>`), or nothing is sent
    send <command line>   one connection each, in this order
    dump <backend>        save the backend's state to <folder>/<backend>, after sending: all of them asked for at once
    read <command line>   read back, after saving
    cut <backend> <name>  end the server's sessions in old workers
    end                   without it the request broke off on its way, and nothing is done

A worker that is being started reads the saved states before it takes over, and the master answers nothing meanwhile.
So whoever is told, after saving, that the master has the same worker as before, knows that the next one reads
what was saved.

HAProxy has no compare-and-set. The guard is ours: everyone who takes this lock sees the servers as they
were when the caller decided, or sends nothing. The lock's file descriptor is left open in every child, so the
lock is not free before the last of them ended, even when the script itself was killed.

A move is a dozen of these calls on each load balancer, and what they cost is the programs that they start. So
what the shell can do itself is not piped through another one, and here-documents feed those that remain.
"""

from __future__ import annotations

# One question on standard input to the unix socket `$1`: an answer of at most `$limit` bytes within `$io` seconds.
TALK = r"""talk() { timeout -k 1 "$io" socat -t "$io" -T "$io" - "UNIX-CONNECT:$1,readbytes=$limit"; }
"""

SCRIPT = (
    r"""
set -uf
socket=$1 master=$2 lock=$3 wait=$4 folder=$5 limit=$6 io=$7 mark=$8
newline='
'
say() { printf '\n%s %s\n' "$mark" "$*"; }
stop() { say "stopped $*"; exit 0; }
"""
    + TALK
    + r"""ask() {
  say "answer $1"
  talk "$2" <<EOF
$3
EOF
}

locked='' guard='' expects='' sends='' reads='' cuts='' dumps='' complete=''
while IFS= read -r line; do
  case $line in
    lock) locked=1 ;;
    'guard '*) guard=${line#guard } ;;
    'expect '*) expects=$expects${line#expect }$newline ;;
    'send '*) sends=$sends${line#send }$newline ;;
    'read '*) reads=${line#read } ;;
    'cut '*) cuts="$cuts;${line#cut }" ;;
    'dump '*) dumps="$dumps ${line#dump }" ;;
    end) complete=1 ;;
  esac
done
[ "$complete" ] || stop request
for tool in socat timeout flock awk sync; do
  command -v "$tool" >/dev/null 2>&1 || stop tool "$tool"
done
for each in "$socket" "$master"; do
  [ -S "$each" ] || stop socket "$each"
  [ -w "$each" ] || stop denied "$each" "$(id -un)"
done

if [ "$locked" ]; then
  [ -z "$folder" ] || { [ -d "$folder" ] && [ -w "$folder" ]; } || stop folder
  (: >>"$lock") 2>/dev/null || stop lockfile
  exec 9>>"$lock"
  flock -w "$wait" 9 || stop lock
  # Who waited for it may be dead: then this ends us.
  say locked || exit 1
fi

if [ "$guard" ]; then
  unmet=$(
    { printf '%s--\n' "$expects"; talk "$socket" <<EOF
$guard
EOF
    } | awk '
      $0 == "--" { asked = 1; next }
      !asked { want[$0] = 1; next }
      $1 == "Pid:" { delete want["pid " $2] }
      # Bit 64 of the administrative state only tells that the FQDN was set by a command.
      $1 ~ /^[0-9]+$/ && NF > 20 { delete want["server " $2 "/" $4 " " $6 " " $7 % 64] }
      END { for (line in want) { print line; exit }; print "met" }'
  )
  [ "$unmet" = met ] || { say "changed $unmet"; sends='' cuts='' dumps=''; }
fi

fields=$IFS
IFS=$newline
for line in $sends; do ask sent "$socket" "$line"; done
IFS=$fields

# The backends `$1` in one question. Each goes to a file with an unguessable name; those that are whole are renamed.
save() {
  stem=$folder/.tidegate-state.$mark. question='' saved=' '
  for backend in $1; do question="$question;show servers state $backend"; done
  # HAProxy ignores a truncated file as a whole, and says so in a warning only.
  whole=$(umask 022; talk "$socket" <<EOF | awk -v names="$1" -v stem="$stem" '
    BEGIN { count = split(names, name, " "); at = 1 }
    at > count { next }
    { file = stem name[at]; lines++; print >file }
    lines == 1 ? $0 != "1" : lines > 2 && NF && $2 != name[at] { bad = 1 }
    $0 == "" {
      if (close(file) == 0 && !bad && lines > 3) print name[at]
      at++; lines = bad = 0
    }'
${question#;}
EOF
  )
  files=''
  for backend in $whole; do files="$files $stem$backend"; done
  if [ "$files" ] && sync $files; then
    for backend in $whole; do mv -fT "$stem$backend" "$folder/$backend" && saved="$saved$backend "; done
  fi
  for backend in $1; do
    case $saved in
      *" $backend "*) say "saved $backend" ;;
      *) rm -f "$stem$backend"; say "unsaved $backend" ;;
    esac
  done
}
names='' size=0
[ -n "$folder" ] || dumps=''
if [ -n "$dumps" ]; then
  # Left by scripts that were killed: nobody else can be writing one, since the lock is ours.
  set +f
  set -- "$folder"/.tidegate-state.*
  set -f
  [ ! -e "$1" ] || rm -f "$@"
fi
for backend in $dumps; do
  names="$names $backend" size=$((size + ${#backend} + 20))
  [ "$size" -lt 8000 ] || { save "$names"; names='' size=0; }
done
[ -z "$names" ] || save "$names"

IFS=$newline
[ -z "$reads" ] || ask read "$socket" "$reads"

proc=$(talk "$master" <<EOF
show proc
EOF
  printf .)
say 'answer proc'
printf '%s' "${proc%.}"
here='' old='' count=0
for row in $proc; do
  case $row in
    '# old workers'*) here=1 ;;
    '#'*) here='' ;;
    [0-9]*) [ -z "$here" ] || [ $((count += 1)) -gt 16 ] || old="$old ${row%%[!0-9]*}" ;;
  esac
done
IFS=$fields
# An old worker refuses `shutdown sessions server`, but not the end of a session by its id.
[ -z "$cuts" ] || for pid in $old; do
  ids=$(talk "$master" <<EOF | awk -v cuts="$cuts" -v pid="$pid" '
    BEGIN { split(cuts, pairs, ";"); for (i in pairs) want[pairs[i]] = 1 }
    {
      be = srv = ""
      for (i = 2; i <= NF; i++) { if ($i ~ /^be=/) be = substr($i, 4); if ($i ~ /^srv=/) srv = substr($i, 5) }
      if (be " " srv in want && sub(/:$/, "", $1)) print "@!" pid " shutdown session " $1
    }'
@!$pid show sess
EOF
  )
  IFS=$newline
  for line in $ids; do talk "$master" <<EOF >/dev/null
$line
EOF
  done
  IFS=$fields
done
for pid in $old; do
  told=$(talk "$master" <<EOF
@!$pid show stat -1 5 -1
EOF
    printf .)
  say "answer old $pid"
  printf '%s' "${told%.}"
  # One that ends just then never answers, and the master lets whoever asks it wait: is it in the list still?
  case $told in
    *"$newline$newline".) ;;
    *) gone=$(talk "$master" <<EOF | awk -v pid="$pid" '
      /^#/ { old = /^# old workers/; if (/^# workers/) whole = 1 }
      old && $1 == pid { listed = 1 }
      { last = $0 }
      END { if (whole && last == "" && !listed) print "gone" }'
show proc
EOF
      )
      [ -z "$gone" ] || say "gone $pid" ;;
  esac
done
say finished
"""
)
