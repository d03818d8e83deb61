# Copyright: the Tidegate contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Every way that a Puppet run can end: its name, what happened, and what to do next."""

from __future__ import annotations

from enum import StrEnum


class PuppetOutcome(StrEnum):
    """How a run of the agent ended. `unknown` is what none of the others is."""

    CHANGED = "changed"
    UNCHANGED = "unchanged"
    FAILED_RESOURCES = "failed_resources"
    FAILED_RESTART = "failed_restart"
    CATALOG_FAILURE = "catalog_failure"
    CATALOG_UNUSABLE = "catalog_unusable"
    CACHED_CATALOG = "cached_catalog"
    WRONG_ENVIRONMENT = "wrong_environment"
    OTHER_REVISION = "other_revision"
    SERVER_UNREACHABLE = "server_unreachable"
    SERVER_UNAVAILABLE = "server_unavailable"
    SERVER_REFUSED = "server_refused"
    CERTIFICATE_UNSIGNED = "certificate_unsigned"
    CERTIFICATE_INVALID = "certificate_invalid"
    DISABLED = "disabled"
    ALREADY_RUNNING = "already_running"
    NOOP_PENDING = "noop_pending"
    REBOOT_PENDING = "reboot_pending"
    REBOOTED = "rebooted"
    TERMINATED = "terminated"
    TIMED_OUT = "timed_out"
    LOST = "lost"
    SHELL_LOST = "shell_lost"
    HOOK_FAILED = "hook_failed"
    NO_AGENT = "no_agent"
    NOT_ROOT = "not_root"
    AGENT_FAILED = "agent_failed"
    DISK_FULL = "disk_full"
    PIN_NOT_TAKEN = "pin_not_taken"
    NOT_OPENED = "not_opened"
    WRONG_TARGET = "wrong_target"
    NO_REPORT = "no_report"
    UNKNOWN = "unknown"

    @property
    def ok(self) -> bool:
        """Whether the node is now as its catalog says."""
        return self in (PuppetOutcome.CHANGED, PuppetOutcome.UNCHANGED)

    @property
    def said(self) -> str:
        """What happened, in words."""
        return _TOLD[self][0]

    @property
    def remedy(self) -> str:
        """What to do next; empty when nothing is to be done."""
        return "" if self.ok else f"{_TOLD[self][1]}, then run the same deployment again"


_TOLD = {
    PuppetOutcome.CHANGED: ("Puppet changed the node", ""),
    PuppetOutcome.UNCHANGED: ("Puppet had nothing to change", ""),
    PuppetOutcome.FAILED_RESOURCES: (
        "Puppet could not bring about all that the catalog says",
        "Correct what the failed resources name",
    ),
    PuppetOutcome.FAILED_RESTART: (
        "Puppet changed the node, but what it then restarted failed",
        "Look at the service's own log",
    ),
    PuppetOutcome.CATALOG_FAILURE: (
        "Puppet got no catalog for the node",
        "Correct the code or data that the message names",
    ),
    PuppetOutcome.CATALOG_UNUSABLE: (
        "Puppet got a catalog that the node can't apply",
        "Correct the resources that the message names (a dependency cycle, a value that a type refuses)",
    ),
    PuppetOutcome.CACHED_CATALOG: (
        "Puppet applied an old catalog from its cache",
        "Find out why the server gave no fresh catalog",
    ),
    PuppetOutcome.WRONG_ENVIRONMENT: (
        "Puppet's environment is not the one that was asked for",
        "Deploy that environment to the Puppet server, or correct the name",
    ),
    PuppetOutcome.OTHER_REVISION: (
        "Puppet's catalog is of another configuration than the deployment brings",
        "See which revision of the control repository the compile servers serve, and whether they cache an older one",
    ),
    PuppetOutcome.SERVER_UNREACHABLE: (
        "The Puppet server could not be reached from the node",
        "Check the Puppet server and the node's way to it",
    ),
    PuppetOutcome.SERVER_UNAVAILABLE: (
        "The Puppet server answered that it can't serve at the moment",
        "Wait until it has started or is less busy (its status is at /status/v1/simple)",
    ),
    PuppetOutcome.SERVER_REFUSED: (
        "The Puppet server doesn't allow the node what it asked for",
        "Compare the server's auth.conf with the node's certname and node_name_value",
    ),
    PuppetOutcome.CERTIFICATE_UNSIGNED: (
        "The node's Puppet certificate is not signed",
        "Sign it on the CA (puppetserver ca sign --certname NAME)",
    ),
    PuppetOutcome.CERTIFICATE_INVALID: (
        "Node and Puppet server don't accept each other's certificates",
        "Compare the clocks of both; renew what has expired, or clean it on the CA and on the node "
        "(puppetserver ca clean, puppet ssl clean)",
    ),
    PuppetOutcome.DISABLED: (
        "Puppet is disabled on the node",
        "Ask who disabled it; puppet agent --enable ends it",
    ),
    PuppetOutcome.ALREADY_RUNNING: (
        "Another Puppet run kept the node's run lock",
        "Wait for that run to end, or find out why it hangs",
    ),
    PuppetOutcome.NOOP_PENDING: (
        "Puppet runs in noop mode on the node: it only said what it would change",
        "Take noop out of the node's puppet.conf",
    ),
    PuppetOutcome.REBOOT_PENDING: (
        "Puppet is through, and the node is still to be rebooted",
        "Reboot the node, or set deploy.reboot to if_pending",
    ),
    PuppetOutcome.REBOOTED: (
        "The node was rebooted while Puppet ran",
        "Find out who or what rebooted it",
    ),
    PuppetOutcome.TERMINATED: (
        "The Puppet run was ended from outside before it was through",
        "Find out who ended it",
    ),
    PuppetOutcome.TIMED_OUT: (
        "The Puppet run passed its time limit and was ended",
        "Look at what took so long, or raise the time limit",
    ),
    PuppetOutcome.LOST: (
        "The Puppet run is gone and nobody wrote down how it ended",
        "See what killed it (the kernel's log tells of memory that ran out)",
    ),
    PuppetOutcome.SHELL_LOST: (
        "The WinRM shell that owned the Puppet run is gone, and the run with it",
        "See whether the node or its WinRM service was restarted",
    ),
    PuppetOutcome.HOOK_FAILED: (
        "A command that Puppet is to run before or after each run failed",
        "Mend it, or take it out of puppet.conf (prerun_command, postrun_command)",
    ),
    PuppetOutcome.NO_AGENT: (
        "There is no Puppet agent on the node",
        "Install the Puppet agent",
    ),
    PuppetOutcome.NOT_ROOT: (
        "Puppet would run as an ordinary user, with settings and a certificate of that user's own",
        "Connect as root or with become",
    ),
    PuppetOutcome.AGENT_FAILED: (
        "The Puppet agent gave up before it asked for a catalog",
        "Mend what its message names (a setting, a permission)",
    ),
    PuppetOutcome.DISK_FULL: (
        "The node's disk is full, and Puppet could not write down how it ended",
        "Make room there",
    ),
    PuppetOutcome.PIN_NOT_TAKEN: (
        "Puppet ran, and the service's code took something else than what is pinned",
        "Compare the descriptor's keys with the code's, and see what stands above the pin (puppet lookup --explain)",
    ),
    PuppetOutcome.NOT_OPENED: (
        "Puppet ran, and left the service's resources in noop",
        "Compare the descriptor's open_key with what the code gives noop_unless_open, and see what stands above it "
        "(puppet lookup --explain)",
    ),
    PuppetOutcome.WRONG_TARGET: (
        "Puppet's code says that the node belongs elsewhere",
        "Correct the inventory, or what class tidegate is given",
    ),
    PuppetOutcome.NO_REPORT: (
        "Puppet ended without a report of this run that can be read",
        "Look at that file and at the run's output on the node",
    ),
    PuppetOutcome.UNKNOWN: (
        "How the Puppet run ended can't be told",
        "Look at the run's output and Puppet's log on the node",
    ),
}
