#!/bin/bash
# Provides KEDA's own scaler clients as a program: target/tools/keda-clients/keda-clients, built from tests/keda.
#
# KEDA's module needs Go 1.26 and about 2 GB of other modules; this is why neither `make tools` nor `make test` asks for
# it. go.mod and go.sum pin every module; a changed file there rebuilds the program.
set -euo pipefail

root=$(cd "$(dirname "$0")/.." && pwd)
source=$root/tests/keda
folder=$root/target/tools/keda-clients
stamp=$folder/stamp

# The oldest minor version of Go 1 that KEDA's go.mod accepts.
oldest=26

say() { printf 'tools: %s\n' "$*"; }

recent() {
    local found
    found=$(GOTOOLCHAIN=local "$1" env GOVERSION 2>/dev/null) || return 1
    [[ $found =~ ^go1\.([0-9]+) ]] && [ "${BASH_REMATCH[1]}" -ge "$oldest" ]
}

find_go() {
    local candidate
    for candidate in "$(command -v go || true)" /usr/local/go/bin/go "$root/target/tools/go/bin/go"; do
        if [ -n "$candidate" ] && recent "$candidate"; then
            echo "$candidate"
            return
        fi
    done
    say "keda: no Go 1.$oldest or later on PATH, in /usr/local/go or below target/tools/go." >&2
    say "keda: install it from https://go.dev/dl and run this again; nothing else of the project needs it" >&2
    exit 1
}

wanted=$(cd "$source" && sha256sum go.mod go.sum ./*.go)
if [ -x "$folder/keda-clients" ] && [ "$wanted" = "$(cat "$stamp" 2>/dev/null)" ]; then
    exit 0
fi
go=$(find_go)
mkdir -p "$folder"
say "keda: building target/tools/keda-clients with $go (the first time it downloads KEDA's modules, and takes minutes)"
export GOTOOLCHAIN=local GOWORK=off GOFLAGS="-mod=readonly"
messages=$(mktemp)
trap 'rm -f "$messages"' EXIT
# What go prints while it downloads is of interest only when it fails.
if ! (cd "$source" && "$go" build -buildvcs=false -o "$folder/keda-clients" .) 2>"$messages"; then
    cat "$messages" >&2
    exit 1
fi
printf '%s\n' "$wanted" >"$stamp"
