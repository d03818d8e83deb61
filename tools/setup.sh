#!/usr/bin/env bash
# Installs what the lab, the demo and the tests need: Debian packages (tools/packages.txt) and a Python environment in
# .venv. Safe to run again: what is there is left alone. `make setup` calls it.
set -euo pipefail

project=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
packages_file=$project/tools/packages.txt
venv=$project/.venv
stamp=$venv/tidegate.stamp

say() { printf 'setup: %s\n' "$*"; }

fail() { # what happened, what to do next
  printf 'setup: %s\n       %s\n' "$1" "$2" >&2
  exit 1
}

wanted_packages() { sed -e 's/#.*//' -e 's/[[:space:]]//g' -e '/^$/d' "$packages_file"; }

missing_packages() {
  local package
  while read -r package; do
    [[ $(dpkg-query --show --showformat='${db:Status-Status}' "$package" 2>/dev/null) == installed ]] || echo "$package"
  done < <(wanted_packages)
}

# The words before a command that root must run; empty for root itself.
choose_root() {
  root=()
  if [[ $(id -u) != 0 ]]; then
    command -v sudo >/dev/null ||
      fail "root must install: $*" "As root run: apt-get install --no-install-recommends $*"
    say "sudo may ask for your password: apt-get installs system packages as root, nothing else here does"
    root=(sudo)
  fi
}

# Debian starts a daemon as soon as its package is configured. The lab runs its own copies with its own configurations,
# so for the time of the installation policy-rc.d (Debian Policy 9.3.3.1, invoke-rc.d(8)) forbids that, and where
# systemd runs, the units that came with these packages are disabled. What was installed before is left as it was.
keep_daemons_off() {
  policy=/usr/sbin/policy-rc.d
  if [[ -e $policy ]]; then return; fi
  printf '#!/bin/sh\n# Of tidegate tools/setup.sh, for the time of an installation only.\nexit 101\n' |
    "${root[@]}" tee "$policy" >/dev/null
  "${root[@]}" chmod 755 "$policy"
  trap '"${root[@]}" rm -f "$policy"' EXIT
}

disable_units() { # packages that were just installed
  [[ -d /run/systemd/system ]] || return 0
  local package unit
  for package in "$@"; do
    dpkg-query --listfiles "$package" | sed -n 's|^\(/usr\)\?/lib/systemd/system/\([^/@]*\.\(service\|socket\)\)$|\2|p' |
      while read -r unit; do
        say "disabling $unit, which $package brought: the lab runs its own"
        "${root[@]}" systemctl --quiet disable "$unit" || say "could not disable $unit; it does the lab no harm"
      done
  done
}

install_packages() { # packages
  command -v apt-get >/dev/null ||
    fail "this machine has no apt-get, and lacks: $*" "Use Debian 12 or Ubuntu 24.04, or install the equivalents yourself."
  say "installing Debian packages: $*"
  choose_root "$@"
  keep_daemons_off
  # A foreign source that can't be reached is not our business: whether all packages are to be had is.
  "${root[@]}" apt-get -qq update || say "apt-get update had errors; going on with the lists that are there"
  "${root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get -qq -y -o Dpkg::Use-Pty=0 install \
    --no-install-recommends "$@" </dev/null >"$log" 2>&1 || {
    tail -n 20 "$log" >&2
    fail "apt-get could not install the packages (all of its output: $log)" "Repair that, then run the same command again."
  }
  disable_units "$@"
}

packages() {
  local missing
  mapfile -t missing < <(missing_packages)
  if ((${#missing[@]} == 0)); then
    say "Debian packages: all there"
    return
  fi
  install_packages "${missing[@]}"
}

# Where the environment was made, and what makes it stale: dependencies and entry points.
fingerprint() { echo "$venv" && sha256sum <"$project/pyproject.toml"; }

# An environment whose interpreter is gone or too old, or that was moved here (its programs name the place where it was
# made), can't be repaired.
environment_is_sound() {
  [[ ! -f $stamp || $(head -n 1 "$stamp") == "$venv" ]] && [[ -x $venv/bin/python ]] && "$venv/bin/python" - "$venv" <<'PYTHON' 2>/dev/null
import sys
sys.exit(sys.version_info < (3, 11) or sys.prefix != sys.argv[1])
PYTHON
}

# The first Python that is new enough; the system's own before whatever shim stands in the PATH.
choose_python() {
  for python in ${PYTHON:-} /usr/bin/python3 python3; do
    if "$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then return; fi
  done
  fail "no Python 3.11 or newer found" "Install one and name it: make setup PYTHON=/path/to/python3"
}

environment() {
  if environment_is_sound && [[ -f $stamp && $(<"$stamp") == "$(fingerprint)" ]]; then
    say "Python environment .venv: up to date"
    return
  fi
  if ! environment_is_sound; then
    choose_python
    say "making the Python environment .venv with $("$python" --version)"
    rm -rf "$venv"
    "$python" -m venv "$venv" || fail "$python could not make $venv" "Look at its message above; python3-venv must fit it."
  fi
  say "installing the project and its tools into .venv"
  "$venv/bin/python" -m pip --disable-pip-version-check --no-input install -qq --editable "${project}[dev]" ||
    fail "pip could not install the project's dependencies" "Look at pip's message above, then run the same command again."
  fingerprint >"$stamp"
}

# Splunk's own examiner of apps pins old versions of what we use too, so it has an environment of its own.
examiner() {
  local examiner=$project/build/appinspect
  local wanted
  wanted=$(echo "$examiner" && sha256sum <"$project/tools/appinspect.txt")
  if [[ -x $examiner/bin/splunk-appinspect && -f $examiner/tidegate.stamp && $(<"$examiner/tidegate.stamp") == "$wanted" ]]; then
    say "Splunk's AppInspect: there"
    return
  fi
  say "installing Splunk's AppInspect into build/appinspect"
  rm -rf "$examiner"
  "$venv/bin/python" -m venv "$examiner"
  "$examiner/bin/python" -m pip --disable-pip-version-check --no-input install -qq \
    --requirement "$project/tools/appinspect.txt" ||
    fail "pip could not install Splunk's AppInspect" "Look at pip's message above, then run the same command again."
  echo "$wanted" >"$examiner/tidegate.stamp"
}

mkdir -p "$project/build"
log=$project/build/setup.log
packages
environment
examiner
