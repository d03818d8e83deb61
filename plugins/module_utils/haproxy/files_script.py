# Copyright: the Tidegate contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What runs on a load balancer's host to check and to change its configuration: POSIX sh, with socat, flock and awk."""

from __future__ import annotations

from ansible_collections.tidegate.delivery.plugins.module_utils.haproxy.script import TALK

# The new file on standard input, among links to all others of its folder: HAProxy reads what it would be started with.
CHECK = r"""
set -u
folder=$1 name=$2 program=$3
shift 3
stage=$(mktemp -d) || exit 1
trap 'rm -rf "$stage"' EXIT
for file in "$folder"/*.cfg; do
  [ ! -e "$file" ] || ln -s "$file" "$stage/" || exit 1
done
rm -f "$stage/$name"
cat >"$stage/$name"
for base; do set -- "$@" -f "$base"; shift; done
"$program" -c "$@" -f "$stage" 2>&1
"""

# The state of every backend that runs and has a state file, each into that file; what could not be saved, in words.
#
# HAProxy prefers a saved port to its configuration's (tried on 2.6; a new address wins): a server whose port changed
# would stay where it was. So each state gets the port that the configuration has, from lines `backend server port`.
#
# A server of that list that a running backend does not have yet gets a state too: MAINT. Without one HAProxy would send
# it customers as soon as its checks pass, whatever it serves. A state without an address is taken (tried on 2.6, 2.8).
_SAVE_ALL = r"""save_all() {
  stage=$(mktemp -d "$folder/.tidegate.XXXXXX") || { echo "every backend"; return; }
  ls -1 "$folder" >"$stage/.names"
  [ ! -f "$folder/.tidegate.servers" ] || cp "$folder/.tidegate.servers" "$stage/.ports"
  printf 'show servers state\n' | talk "$socket" >"$stage/.answer"
  # HAProxy ignores a truncated file as a whole, and says so in a warning only.
  if : >>"$stage/.ports" && awk -v stage="$stage" '
    function finish(i, n, names) {
      n = split(listed[backend], names, " ")
      for (i = 1; i <= n; i++) {
        if ((backend "/" names[i]) in seen) continue
        $0 = state; $3 = 100000 + i; $4 = names[i]; $5 = "-"; $6 = 0; $7 = 1
        $17 = 0; $18 = "-"; $19 = port[backend "/" names[i]]
        print >file
      }
      print "" >file
      close(file)
    }
    part == "names" { known[$0] = 1; next }
    part == "ports" { port[$1 "/" $2] = $3; listed[$1] = listed[$1] " " $2; next }
    { lines++; last = $0 }
    lines == 1 { bad = $0 != "1"; next }
    lines == 2 { header = $0; next }
    NF < 20 || !($2 in known) { next }
    ($2 "/" $4) in port { $19 = port[$2 "/" $4] }
    $2 != backend {
      if (backend != "") { line = $0; finish(); $0 = line }
      backend = $2
      file = stage "/" backend
      print "1" >file
      print header >file
    }
    { print >file; state = $0; seen[$2 "/" $4] = 1 }
    END { if (backend != "") finish(); exit bad || lines < 3 || last != "" }
    ' part=names "$stage/.names" part=ports "$stage/.ports" part=answer "$stage/.answer"
  then
    set -- "$stage"/*
    [ ! -e "$1" ] || { chmod 644 "$@" && sync "$@" && mv -f "$@" "$folder/"; } || echo "some backends"
  else
    echo "every backend"
  fi
  rm -rf "$stage"
}
"""

# Before a reload that somebody else asks for. While ours is under way, its script holds the lock and waits for this.
HOOK = (
    r"""
set -u
[ -S "$socket" ] || exit 0
# One that was killed, or whose configuration is not loaded for other reasons, left it behind and holds no lock.
holder=$(cat "$pending" 2>/dev/null)
if [ -z "$holder" ] || ! kill -0 "$holder" 2>/dev/null; then
  exec 9>>"$lock"
  flock -w "$wait" 9 || { echo "tidegate: $lock stayed taken" >&2; exit 1; }
fi
"""
    + TALK
    + _SAVE_ALL
    + r"""unsaved=$(save_all)
[ -z "$unsaved" ] || { echo "tidegate: not saved: $unsaved" >&2; exit 1; }
"""
)

PUT = (
    r"""
set -u
file=$1 socket=$2 master=$3 lock=$4 folder=$5 wait=$6 io=$7 limit=$8 deadline=$9
shift 9
conf=$(dirname "$file")
servers=$folder/.tidegate.servers
pending=$conf/.tidegate.reload
for tool in socat timeout flock awk grep mktemp; do
  command -v "$tool" >/dev/null 2>&1 || { echo "tool $tool"; exit 0; }
done
(: >>"$lock") 2>/dev/null || { echo lockfile; exit 0; }
exec 9>>"$lock"
flock -w "$wait" 9 || { echo locked; exit 0; }
# Who waited for it may be dead: then this ends us.
echo || exit 1
"""
    + TALK
    + _SAVE_ALL
    + r"""proc() { printf 'show proc\n' | talk "$master" 2>/dev/null; }
workers() { awk '/^#/ { here = /^# workers/; next } here && $1 ~ /^[0-9]+$/ { printf "%s ", $1 }'; }
failures() { sed -n 's/.*\[failed: \([0-9]*\)\].*/\1/p' | head -n 1; }
names() { cut -d ' ' -f 1 "$1" | uniq; }
keep() { rm -f "$1.old"; [ ! -e "$1" ] || cp -p "$1" "$1.old"; }
back() { if [ -e "$1.old" ]; then mv -fT "$1.old" "$1"; else rm -f "$1"; fi; }
undo() { back "$file"; back "$servers"; rm -f "$pending" "$conf/.tidegate.new"; }
failed() {
  undo
  # The states were saved for the servers that were not loaded.
  [ ! -S "$socket" ] || save_all >/dev/null
  echo "failed $*" | tr '\n' ' '
  exit 0
}

set -e
echo $$ >"$pending"
keep "$servers"
keep "$file"
mv -fT "$servers.new" "$servers"
names "$servers" | while IFS= read -r backend; do
  # The format's version and no server: HAProxy warns of a file that is missing.
  [ -e "$folder/$backend" ] && continue
  printf '1\n' >"$folder/.tidegate.empty"
  mv -f "$folder/.tidegate.empty" "$folder/$backend"
done
chmod 644 "$conf/.tidegate.new"
set +e
before=$(proc)
old=$(printf '%s\n' "$before" | workers)
if [ -S "$socket" ]; then
  unsaved=$(save_all)
  [ -z "$old" ] || [ -z "$unsaved" ] || { undo; echo "unsaved $unsaved"; exit 0; }
fi
if [ -z "$old" ] && printf 'show info\n' | talk "$socket" 2>/dev/null | grep -q '^Pid:'; then
  undo
  echo master
  exit 0
fi
mv -fT "$conf/.tidegate.new" "$file" || { undo; echo "failed $file can not be written"; exit 0; }
[ "$old" ] || { rm -f "$pending" "$file.old" "$servers.old"; echo idle; exit 0; }
had=$(printf '%s\n' "$before" | failures)
noise=$(timeout -k 5 "$deadline" "$@" 2>&1 9>&-) || failed "the reload command ended with $?: $noise"
end=$(($(date +%s) + deadline))
while :; do
  now=$(proc)
  new=$(printf '%s\n' "$now" | workers)
  count=$(printf '%s\n' "$now" | failures)
  [ -z "$count" ] || [ "$count" -le "${had:-0}" ] || failed "the reload failed, and worker $old goes on"
  if [ "$new" ] && [ "$new" != "$old" ]; then
    pid=$(printf 'show info\n' | talk "$socket" 2>/dev/null | sed -n 's/^Pid: //p')
    [ "$pid " != "$new" ] || break
  fi
  [ "$(date +%s)" -le "$end" ] || failed "no new worker within $deadline s"
  sleep 0.2
done
running=$(printf 'show backend\n' | talk "$socket")
missing=$(names "$servers" | grep -vxF "$running" | head -n 1)
if [ -z "$missing" ] && [ -s "$servers.old" ]; then
  # A backend that is gone and comes back one day must not come back with who was out of it now.
  names "$servers.old" | grep -vxF "$running" | while IFS= read -r gone; do rm -f "$folder/$gone"; done
fi
rm -f "$pending" "$file.old" "$servers.old"
[ -z "$missing" ] || { : >"$pending"; echo "unknown $missing"; exit 0; }
echo reloaded
"""
)
