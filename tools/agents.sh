#!/bin/bash
# Provides one Python environment per A2A SDK generation: target/tools/agents-03 and agents-1x.
# Every version is pinned in tests/agents/requirements-*.txt; a changed pin rebuilds its environment.
set -euo pipefail

root=$(cd "$(dirname "$0")/.." && pwd)
tools=$root/target/tools

say() { printf 'tools: %s\n' "$*"; }

need_python() {
    if python3 -c 'import ensurepip, venv' 2>/dev/null; then
        return
    fi
    if [ "$(id -u)" -ne 0 ] && ! command -v sudo >/dev/null; then
        say "agents: python3 with venv is missing; install the package python3-venv as root and run this again" >&2
        exit 1
    fi
    say "agents: python3 with venv is missing; installing the package python3-venv"
    local as_root=()
    if [ "$(id -u)" -ne 0 ]; then as_root=(sudo); fi
    local install=("${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends python3-venv)
    if ! "${install[@]}" >/dev/null; then
        "${as_root[@]}" apt-get update -qq
        "${install[@]}" >/dev/null
    fi
}

environment() {
    local generation=$1
    local folder=$tools/agents-$generation
    local pins=$root/tests/agents/requirements-$generation.txt
    local stamp=$folder/requirements.stamp

    if cmp -s "$pins" "$stamp"; then
        return
    fi
    need_python
    say "agents: building target/tools/agents-$generation from tests/agents/requirements-$generation.txt"
    rm -rf "$folder"
    mkdir -p "$tools"
    python3 -m venv "$folder"
    "$folder/bin/python" -m pip install --quiet --disable-pip-version-check --no-deps -r "$pins"
    cp "$pins" "$stamp"
}

environment 03
environment 1x
