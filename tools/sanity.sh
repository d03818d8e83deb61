#!/usr/bin/env bash
# Runs ansible-test's sanity tests on the working tree. `make sanity` calls it; arguments go to `ansible-test sanity`.
#
# ansible-test insists on a real path …/ansible_collections/tidegate/delivery, so it looks at a copy below build/. Its
# home is there too: it keeps one environment for each test, which makes every run but the first one fast.
set -euo pipefail

project=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
work=$project/build/sanity
copy=$work/ansible_collections/tidegate/delivery
log=$work/output.log
export PATH=$project/.venv/bin:$PATH

# The tracked files and those that could be. Not the link that lets Ansible find a clone's collection: it would lead in
# circles. Not our own tests: ansible-test would want to read their captured reports and faulty descriptors.
copy_tree() {
  rm -rf "$copy"
  mkdir -p "$copy"
  (
    cd "$project"
    git ls-files -z --cached --others --exclude-standard -- . ':!collections' ':!tests/unit' ':!tests/integration' |
      while IFS= read -r -d '' file; do [[ ! -e $file ]] || printf '%s\0' "$file"; done |
      tar --create --null --files-from=- | tar --extract --directory "$copy"
  )
  # A repository of its own: for git, the copy would else be an ignored folder of this one, without any files.
  git -C "$copy" init --quiet
}

# ansible-test downloads a script that puts pip into its environments, from a host that may be out of reach. Python
# brings a pip of its own; what the tests need comes from the package index as usual.
prepare_home() {
  local name
  name=$(python - <<'PYTHON'
from types import SimpleNamespace
from ansible_test._internal.python_requirements import get_venv_packages
import sys
python = SimpleNamespace(version=".".join(map(str, sys.version_info[:2])))
print("get_pip_" + get_venv_packages(python)["pip"].replace(".", "_") + ".py")
PYTHON
)
  mkdir -p "$work/home/.ansible/test/cache" "$work/home/.config"
  echo 'import ensurepip; ensurepip.bootstrap(default_pip=True)' >"$work/home/.ansible/test/cache/$name"
  # A package index of the user's own choice stays in force.
  if [[ -d $HOME/.config/pip ]]; then ln -sfn "$HOME/.config/pip" "$work/home/.config/pip"; fi
}

write_ignores() {
  local core
  core=$(python -c 'from ansible.release import __version__; print(".".join(__version__.split(".")[:2]))')
  mkdir -p "$copy/tests/sanity"
  python "$project/tools/sanity_ignores.py" >"$copy/tests/sanity/ignore-$core.txt"
}

# Left out: pylint repeats what ruff and mypy say, at ten times the cost; changelog and pslint have nothing to look at.
run() {
  cd "$copy"
  HOME=$work/home ansible-test sanity --color no \
    --python "$(python -c 'import sys; print("%d.%d" % sys.version_info[:2])')" \
    --skip-test changelog --skip-test pslint --skip-test pylint "$@" >"$log" 2>&1 </dev/null
}

copy_tree
prepare_home
write_ignores
began=$SECONDS
echo "sanity: ansible-test on a copy of the working tree (the first time it builds its environments: some minutes)"
if run "$@"; then
  echo "sanity: $(grep -c '^Running sanity test' "$log") tests passed in $((SECONDS - began))s"
else
  grep -E '^(ERROR|FATAL|See documentation)' "$log" >&2 || tail -n 20 "$log" >&2
  echo "sanity: failed; all of the output: $log" >&2
  exit 1
fi
