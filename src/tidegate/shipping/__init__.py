"""Shipping what happened to where it is looked at: one process beside the playbook, which never waits for it."""
