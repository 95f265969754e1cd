#!/bin/bash
# Provides the test agent on the Go SDK: target/tools/agent-go/agent, built from tests/agents/go.
#
# A recent Go on PATH is used as it is. Otherwise the toolchain of the Go project is downloaded and unpacked below
# target/tools/go: nothing is installed. go.mod and go.sum pin every module; a changed file there rebuilds the agent.
set -euo pipefail

root=$(cd "$(dirname "$0")/.." && pwd)
tools=$root/target/tools
source=$root/tests/agents/go
folder=$tools/agent-go
stamp=$folder/stamp

# The oldest minor version of Go 1 that go.mod accepts.
oldest=25
version=1.26.8
toolchain=https://proxy.golang.org/golang.org/toolchain/@v/v0.0.1-go$version.linux

say() { printf 'tools: %s\n' "$*"; }

recent() {
    local found
    found=$(GOTOOLCHAIN=local "$1" env GOVERSION 2>/dev/null) || return 1
    [[ $found =~ ^go1\.([0-9]+) ]] && [ "${BASH_REMATCH[1]}" -ge "$oldest" ]
}

fetch() {
    local machine digest
    case $(uname -sm) in
    "Linux x86_64") machine=amd64 digest=30c2b1bf7dcc88d3eb0a1364e47ddd9128edb3110a30e8a0ef61cd5856b31de7 ;;
    "Linux aarch64") machine=arm64 digest=02b36b6787b3ac767668f630e2998df45a3b1f9ffee08d1bf3ef6487cd658d99 ;;
    *)
        say "agent-go: no Go 1.$oldest or later on PATH, and none is pinned for $(uname -sm); install one and run this again" >&2
        exit 1
        ;;
    esac
    say "agent-go: no Go 1.$oldest or later on PATH; downloading $version (70 MB, unpacked below target/tools/go, nothing is installed)"
    curl -fsS --retry 3 "$toolchain-$machine.zip" -o "$work/go.zip"
    echo "$digest  $work/go.zip" | sha256sum --quiet -c -
    # As a module it is packed without the right to be executed.
    python3 -m zipfile -e "$work/go.zip" "$work/unpacked"
    rm "$work/go.zip"
    local unpacked=("$work"/unpacked/golang.org/toolchain@*)
    chmod -R u+x "${unpacked[0]}/bin" "${unpacked[0]}/pkg/tool"
    rm -rf "$tools/go"
    mv "${unpacked[0]}" "$tools/go"
}

wanted=$(cd "$source" && sha256sum go.mod go.sum ./*.go)
if [ -x "$folder/agent" ] && [ "$wanted" = "$(cat "$stamp" 2>/dev/null)" ]; then
    exit 0
fi
mkdir -p "$tools"
work=$(mktemp -d "$tools/download.XXXXXX")
trap 'rm -rf "$work"' EXIT

if go=$(command -v go) && recent "$go"; then
    say "agent-go: building target/tools/agent-go with $go (about 20 MB of modules the first time)"
else
    go=$tools/go/bin/go
    recent "$go" || fetch
    say "agent-go: building target/tools/agent-go with target/tools/go (about 20 MB of modules)"
    export GOMODCACHE=$work/modules GOCACHE=$work/cache GOENV=off
fi
export GOTOOLCHAIN=local GOWORK=off CGO_ENABLED=0 GOFLAGS="-mod=readonly -modcacherw"

# What go prints while it downloads is of interest only when it fails.
if ! (cd "$source" && "$go" build -trimpath -buildvcs=false -ldflags="-s -w" -o "$work/agent" .) 2>"$work/messages"; then
    cat "$work/messages" >&2
    exit 1
fi
mkdir -p "$folder"
mv "$work/agent" "$folder/agent"
printf '%s\n' "$wanted" >"$stamp"
