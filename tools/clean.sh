#!/usr/bin/env bash
# Ends the labs below build/ and removes all that was made here: build/, .venv, caches. `make clean` calls it.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

for record in build/*/lab.json; do
  [[ -e $record ]] || continue
  .venv/bin/python -m lab down --state "$(dirname "$record")" || {
    echo "clean: $(dirname "$record") could not be ended, so nothing was removed. See above." >&2
    exit 1
  }
done
rm -rf build dist .ansible .hypothesis .mypy_cache .pytest_cache .ruff_cache .venv
find . -path ./.git -prune -o -name __pycache__ -type d -prune -exec rm -rf {} +
echo "clean: removed build/, .venv and caches; Debian packages stay"
