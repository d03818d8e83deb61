# Copyright: the Tidegate contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The shell script that tells a Nagios something and waits until its state file says what came of it."""

from __future__ import annotations

from enum import IntEnum


class Refusal(IntEnum):
    """The script's exit codes."""

    NOT_RUNNING = 44
    MAY_NOT = 45
    NO_ANSWER = 46


# Only what is asked for crosses the connection: a large Nagios' state has tens of megabytes.
_PICK = r"""
BEGIN { count = split(ENVIRON["TIDEGATE_HOSTS"], names, "\n"); for (i = 1; i <= count; i++) wanted[names[i]] = 1 }
/^[ \t]*[a-z]+ \{[ \t]*$/ { kind = $1; block = host = service = ""; next }
/^[ \t]*\}[ \t]*$/ {
    if (kind ~ /^(host|service)downtime$/ && (!count || host in wanted)) printf "%s {\n%s}\n", kind, block
    if (kind ~ /^(host|service)(status)?$/ && host in wanted) printf "%s {\n%s%s}\n", kind, host_line, service
    kind = ""; next
}
kind ~ /^(host|service)(status|downtime)?$/ {
    sub(/^[ \t]+/, "")
    if (index($0, "host_name=") == 1) { host = substr($0, 11); host_line = $0 "\n" }
    if (index($0, "service_description=") == 1) service = $0 "\n"
    if (kind ~ /downtime$/) block = block $0 "\n"
}
"""

# $1 command file, $2 state file, $3 deadline in seconds, $4 the sizes of the pieces on standard input, $5 hosts, a line
# each (none: the downtimes of all), $6 the most bytes to tell. Only dd opens a FIFO without waiting for a reader; each
# piece is one write of at most PIPE_BUF, which nobody else's can cut. A file is new when it is another one than before
# (both files are replaced by a rename) and was made since.
ASK = rf"""
[ -p "$1" ] || exit {Refusal.NOT_RUNNING:d}
[ -w "$1" ] || exit {Refusal.MAY_NOT:d}
dd if=/dev/null of="$1" oflag=nonblock conv=notrunc,nocreat status=none 2>/dev/null || exit {Refusal.NOT_RUNNING:d}
[ ! -e "$2" ] || [ -r "$2" ] || exit {Refusal.MAY_NOT:d}
file() {{ stat -c '%i %y' "$2" 2>/dev/null; }}
before=$(file "$@"); asked=$(date +%s); until=$((asked + $3)) said=$asked
save() {{ printf '[%s] SAVE_STATE_INFORMATION\n' "$said"; }}
exec 3>"$1" || exit {Refusal.NOT_RUNNING:d}
for size in $4; do dd bs="$size" count=1 iflag=fullblock status=none >&3 || exit 1; done
save >&3 || exit 1
exec 3>&-
while :; do
    now=$(date +%s)
    if [ "$(file "$@")" != "$before" ]; then
        [ -r "$2" ] || exit {Refusal.MAY_NOT:d}
        created=$(sed -n '/^[[:space:]]*created=/{{s///p;q;}}' "$2")
        case $created in ''|*[!0-9]*) ;; *) [ "$created" -lt "$asked" ] || break ;; esac
    fi
    [ "$now" -lt "$until" ] || exit {Refusal.NO_ANSWER:d}
    # Its clock may be some milliseconds behind ours: what it wrote at once then looks older than our question.
    [ "$now" -lt "$((said + 2))" ] || {{
        said=$now
        save | dd of="$1" oflag=nonblock conv=notrunc,nocreat status=none 2>/dev/null || :
    }}
    sleep 0.05
done
printf 'info {{\nnow=%s\n}}\n' "$now"
TIDEGATE_HOSTS="$5" awk '{_PICK}' "$2" | head -c "$6"
"""
