#!/bin/bash
# Provides redis-server and redis-sentinel in target/tools/bin.
#
# Programs on PATH are used as they are. Otherwise the Debian packages are downloaded and
# unpacked below target/tools/redis: nothing is installed and no service is started, so this
# works without root wherever apt-get can download.
set -euo pipefail

root=$(cd "$(dirname "$0")/.." && pwd)
tools=$root/target/tools
bin=$tools/bin
unpacked=$tools/redis
stamp=$tools/redis.stamp
packages=(redis-tools redis-server redis-sentinel liblzf1 libjemalloc2)

say() { printf 'tools: %s\n' "$*"; }

works() { "$bin/redis-server" --version >/dev/null 2>&1 && [ -x "$bin/redis-sentinel" ]; }

if [ -e "$stamp" ] && works; then
    exit 0
fi
mkdir -p "$bin"

if server=$(command -v redis-server) && sentinel=$(command -v redis-sentinel); then
    say "redis: using $server and $sentinel"
    ln -sf "$server" "$bin/redis-server"
    ln -sf "$sentinel" "$bin/redis-sentinel"
    touch "$stamp"
    exit 0
fi

if ! command -v apt-get >/dev/null; then
    say "redis: neither redis-server nor apt-get found; install redis-server and redis-sentinel (7.0 or later) and run this again" >&2
    exit 1
fi

downloads=$(mktemp -d "$tools/download.XXXXXX")
trap 'rm -rf "$downloads"' EXIT
# apt's download sandbox user must be able to write here.
chmod 755 "$downloads"

download() {
    (cd "$downloads" && apt-get download -qq -o APT::Sandbox::User=root "$@")
}

unpack() {
    local package
    for package in "$downloads"/*.deb; do
        dpkg -x "$package" "$unpacked"
        rm -f "$package"
    done
}

say "redis: not on PATH; downloading ${packages[*]} (unpacked below target/tools/redis, nothing is installed)"
if ! download "${packages[@]}"; then
    say "redis: the package lists look old; running apt-get update"
    if [ "$(id -u)" -eq 0 ]; then
        apt-get update -qq
    elif command -v sudo >/dev/null; then
        sudo apt-get update -qq
    else
        say "redis: run 'apt-get update' as root, then this again" >&2
        exit 1
    fi
    rm -f "$downloads"/*
    download "${packages[@]}"
fi
mkdir -p "$unpacked"
unpack

libraries=$(find "$unpacked" -name '*.so.*' -printf '%h\n' | sort -u | paste -sd:)

missing_libraries() {
    LD_LIBRARY_PATH=$libraries ldd "$unpacked/usr/bin/redis-server" | awk '/not found/ {print $1}'
}

# A slim image lacks more than the two libraries above. Debian names a library package
# after its file: libfoo.so.3 is in libfoo3.
for library in $(missing_libraries); do
    name=${library%%.so.*}
    version=${library##*.so.}
    case $name in *[0-9]) package=$name-$version ;; *) package=$name$version ;; esac
    say "redis: $library is missing too; downloading $package"
    download "$package"
    unpack
done
libraries=$(find "$unpacked" -name '*.so.*' -printf '%h\n' | sort -u | paste -sd:)

for program in redis-server redis-sentinel; do
    # exec keeps the process id, so that signals reach the server itself.
    cat >"$bin/$program" <<WRAPPER
#!/bin/sh
LD_LIBRARY_PATH=$libraries exec $unpacked/usr/bin/$program "\$@"
WRAPPER
    chmod 755 "$bin/$program"
done

if ! works; then
    "$bin/redis-server" --version || true
    say "redis: the unpacked redis-server does not start; missing: $(missing_libraries | paste -sd' ')" >&2
    exit 1
fi
touch "$stamp"
say "redis: $("$bin/redis-server" --version | cut -d' ' -f1-3) ready in target/tools/bin"
