#!/usr/bin/env bash
# Runs the Molecule scenario on a lab of its own, beside those of demo (127.20) and tests (127.21), or on the one that
# TIDEGATE_LAB_NET and TIDEGATE_LAB_STATE name. `make molecule` calls it.
set -euo pipefail

project=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
cd "$project"
export PATH=$project/.venv/bin:$PATH
export TIDEGATE_LAB_NET=${TIDEGATE_LAB_NET:-127.22}
export TIDEGATE_LAB_STATE=${TIDEGATE_LAB_STATE:-$project/build/molecule-lab}
# Molecule's own files, and Ansible's, stay out of the home folder.
export ANSIBLE_HOME=$project/build/ansible
export MOLECULE_COMMAND_BORDERS=false
exec molecule test "$@" </dev/null
