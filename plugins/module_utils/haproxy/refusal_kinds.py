# Copyright: the Tidegate contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Why servers are not moved: each reason with its words and what to do, in one place.

The table in docs/load-balancers.md, "What is refused", is these, in this order; a test compares them.
"""

from __future__ import annotations

from enum import Enum


class RefusalKind(Enum):
    """One reason; its two texts have places for names."""

    # Pools that differ from the descriptor, or between load balancers
    NO_BACKEND = (
        "load balancer {host} has no backend {backend}",
        "Correct the pools in the descriptor, or HAProxy's configuration",
    )
    NO_SERVER = (
        "load balancer {host}: {node} is missing in {backend}",
        "Add `server {node} …` to backend {backend}",
    )
    OTHER_SERVERS = (
        "{backend} lists other servers on {other} than on {host}: {names}",
        "Give the load balancers of a site the same servers under the same names",
    )

    ONE_ADDRESS = (
        "{server} on {host} has the address {address}, and so has {other} on {elsewhere}: a node under two names",
        "Correct the addresses: a node that left under one name is reached under the other",
    )

    # Servers that something else moves, or that nobody watches
    AGENT_CHECK = (
        "load balancer {host}: {server} has an agent-check, which undoes drain and maint",
        "Remove agent-check from this server",
    )
    TRACKS = (
        "load balancer {host}: {server} tracks {tracked}, which moves it too",
        "Give each pool checks of its own",
    )
    TRACKED = (
        "load balancer {host}: {server} is tracked by {follower}, which moves with it",
        "Give each pool checks of its own",
    )
    UNCHECKED = (
        "load balancer {host}: {server} has no health check that runs: nobody could tell whether it is healthy",
        "Add `check` to the server; where Tidegate's own health gate is enough, "
        "write `unchecked: allow` in the descriptor's pool",
    )
    CHECK_OFF = (
        "load balancer {host}: the health check of {server} was switched off: nobody could tell whether it is healthy",
        "If nobody needs that, send `enable health {server}` to HAProxy",
    )
    BACKUP = (
        "load balancer {host}: {server} is a backup: customers reach it only when no other server is left",
        "Leave it out of the service's nodes, or take `backup` from the server",
    )
    NO_WEIGHT = (
        "load balancer {host}: {server} has weight 0: no new customer reaches it",
        "If nobody needs that, send `set server {server} weight 100%` to HAProxy, or correct its configuration",
    )
    UNRESOLVED = (
        "load balancer {host}: HAProxy can't resolve the address of {server}",
        "Mend the name server or the server's name",
    )

    # Nodes that no move of ours has put where they are
    FOREIGN = (
        "{node} is {cells}, and no open move of ours explains it: someone else has taken it out",
        "If nobody needs {node} out, bring it back there; then run again",
    )
    IN_NEITHER = (
        "{node} is {cells}: it is in neither pool, and no open move of ours explains it: someone else has taken it out",
        "If nobody needs {node} out, bring it back there; then run again",
    )
    IN_BOTH = (
        "{node} is {cells}: it is in both pools, and no open move of ours explains it",
        "Find out who tests {node}; then set it to maint in the maintenance pool there, and run again",
    )
    ODD = (
        "{spot} is in a state that no move makes: tracked, not resolved, or drained in the maintenance pool",
        "Look at it with tidegate.delivery.haproxy_info",
    )
    FLOOR = (
        "{backend} on {host} would keep {left} of {usable} usable servers without {nodes}; "
        "min_online {min_online} of {configured} configured ones is {floor}",
        "Bring servers back, make the wave smaller, or lower min_online",
    )

    # Deadlines of a move: it is undone
    SESSIONS_LEFT = (
        "sessions are left at the hard deadline ({left})",
        "Raise drain.hard, or set drain.at_hard: cut",
    )
    CUT_IN_VAIN = (
        "sessions are left though they were cut at the hard deadline ({left})",
        "Look for old HAProxy workers there that don't answer, and end them",
    )
    UNDECIDED = (
        "old workers may still give customers' requests to nodes that left, at the hard deadline ({left})",
        "Raise drain.hard above HAProxy's `timeout http-request`, or set `hard-stop-after` there",
    )
    STILL_REACHED = (
        "customers still reach {spot}, which is in MAINT",
        "Take `option persist` and `force-persist` out of that backend: with them a cookie overrules MAINT",
    )
    NOT_UP = (
        "not UP in time in the {pool} pool: {spots}",
        "See why its health check fails",
    )

    # What a load balancer does in the middle of a move: it is undone where it took
    REJECTED = (
        "HAProxy refused '{command}' on {host}: {said}",
        "The socket must be `level admin` and the names those of HAProxy's configuration",
    )
    NO_EFFECT = (
        "'{command}' has no effect on {host}: {why}",
        "See whether somebody else changes these servers",
    )
    UNSAVED = (
        "the state of {host} can't be saved in {folder}: {why}",
        "Look at that folder: its room, its permissions, and what stands where the file goes",
    )
    GONE_SILENT = (
        "load balancer {host} stopped answering: {why}",
        "See why, and bring it back",
    )
    SERVER_GONE = (
        "{node} is no longer in {backend} on {host}",
        "Add it to HAProxy's configuration there again, or take it out of the inventory's group",
    )

    # HAProxy's processes
    FAILED_RELOAD = (
        "load balancer {host}: the last reload failed; HAProxy goes on with another configuration than its files have",
        "Look for the reason with `haproxy -c` and in its log, mend it and reload; then run again",
    )
    OLD_WORKER = (
        "load balancer {host}: old worker {pids} still lives and can't be asked for its sessions",
        "Wait until it is gone, or end it if it hangs",
    )

    # The way to the admin socket
    LEVEL = (
        "load balancer {host}: the admin socket has level {level}, which can look but not move",
        "Write `level admin` behind `stats socket …`, and reload",
    )
    SILENT = (
        "HAProxy did not answer within {seconds} s (socat said {said})",
        "Look there: {command}. If that hangs too, HAProxy does, or its socket is full: `ss -xp` tells who holds it; "
        "raise `stats maxconn`",
    )
    NOBODY = (
        "nobody listens behind the socket {socket}",
        "Start HAProxy, or correct tidegate_haproxy_*",
    )
    NO_SOCKET = (
        "there is no socket {socket}",
        "Start HAProxy, or correct tidegate_haproxy_*",
    )
    NOT_ALLOWED = (
        "{user} may not use the socket {socket}",
        "Let Ansible become root on that host (`ansible_become`)",
    )
    MASTER_SILENT = (
        "the master socket {socket} did not answer",
        "Start HAProxy in master-worker mode with that socket: `haproxy -W -S {socket}`",
    )
    STRANGER = (
        "HAProxy's answer can't be read: {what}",
        "Check that tidegate_haproxy_socket is HAProxy's admin socket, tidegate_haproxy_master_socket its master's, "
        "and that its version is 2.6 or later",
    )
    BROKEN_OFF = (
        "no whole answer came: {what}",
        "Look there: {command}",
    )

    # The load balancer's host
    LOCKED = (
        "the lock stayed taken for {seconds} s",
        "Wait, or see who holds it: fuser -v {lock}",
    )
    NO_LOCK = (
        "the lock file {lock} can't be written",
        "Set tidegate_haproxy_lock",
    )
    NO_TOOL = (
        "{tool} is not installed",
        "Install socat, util-linux, coreutils and awk there",
    )
    NO_FOLDER = (
        "{folder} is no folder that can be written",
        "Create it, or remove tidegate_haproxy_state_dir to go without saved state",
    )

    # A load balancer that the operator leaves out
    ANSWERS = (
        "{host} answers: it can't be left out",
        "It is moved like the others: run the same command without leaving it out",
    )
    NONE_LEFT = (
        "no load balancer of site {site} would be left: {names}",
        "Where none runs, no customer comes, and nothing can be tested: start one",
    )
    NONE_RUNS = (
        "no HAProxy runs on any of the load balancers",
        "Start one: a move is for customers' sake",
    )
    MAY_CARRY = (
        "an HAProxy is there ({process}), but can't be asked: {why}. It may carry traffic",
        "If it is starting, wait. If it hangs, see that no customer reaches it and end it, then run again. "
        "If it belongs to something else, set tidegate_haproxy_process",
    )
    UNSEEN = (
        "whether an HAProxy runs on {host} can't be seen: {why}",
        "Customers may reach it where we can't. Bring back the way to the host; if the host is off for good, "
        "take it out of the inventory",
    )
    HIDDEN = (
        "whether an HAProxy runs there can't be seen: /proc doesn't show other users' processes",
        "Let Ansible become root on that host (`ansible_become`)",
    )
    NOWHERE_SAVED = (
        "no states are saved there (tidegate_haproxy_state_dir is not set): when HAProxy starts again, "
        "servers that left would be online",
        "Start HAProxy there: it can't be gone on without",
    )
    NOT_SAVED = (
        "no state of {backend} is saved in {folder}: when HAProxy starts again, servers that left would be online",
        "Start HAProxy there: it can't be gone on without",
    )
    IGNORED = (
        "HAProxy would ignore the saved state of {backend}: {why}. It would bring back servers that left",
        "Start HAProxy there: it can't be gone on without",
    )
    NOT_IN_SAVED = (
        "the saved state of {backend} on {host} has no {node}: it would start as the configuration says",
        "Start HAProxy there: it can't be gone on without",
    )
    UNWRITTEN = (
        "the saved states in {folder} can't be written",
        "Check the folder, its permissions and its room",
    )

    # What only a check of an existing configuration tells (playbooks/haproxy.yml -e adopt=true): moves go on
    ELSEWHERE = (
        "load balancer {host}: {backend} has {nodes} of {pool} too: "
        "customers who come by it reach them when they have left",
        "Name it among the pools of the descriptor; where no customer comes by it, it can stay as it is",
    )
    OPEN_SOCKET = (
        "load balancer {host}: {socket} has mode {mode}: others than its owner may take servers out",
        "Write `mode 600` behind `stats socket …`",
    )
    NO_STATE_DIR = (
        "load balancer {host} has no folder for saved states: a reload brings back every server that left",
        "Set tidegate_haproxy_state_dir, and `server-state-base` in HAProxy's configuration",
    )
    UNREAD = (
        "load balancer {host}: HAProxy's files have no `{lacking}`: it would not read the states that are saved",
        "Write it there, and reload: else a reload brings back every server that left",
    )
    STATELESS = (
        "load balancer {host}: backend {backend} has no state file in {folder}",
        "Write `server-state-file-name use-backend-name` in the backend; `echo 1 > {folder}/{backend}`, and reload",
    )

    def __init__(self, text: str, remedy: str) -> None:
        self.text = text
        self.remedy = remedy

    def told(self, **names: object) -> tuple[str, str]:
        """What is told and what to do, with their names filled in."""
        return self.text.format(**names), self.remedy.format(**names)


# What may be meant as it is, so that nobody could ever put an end to it: told, and no reason to fail.
REMARKS = frozenset({RefusalKind.ELSEWHERE})
