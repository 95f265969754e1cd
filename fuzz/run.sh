#!/usr/bin/env bash
# Runs the fuzz targets, each for so many seconds: fuzz/run.sh SECONDS [TARGET...]
# The stable compiler is enough: LLVM's coverage pass is asked for by hand, and no sanitizer is used.
set -euo pipefail
cd "$(dirname "$0")"

seconds=${1:?seconds per target}
shift
targets=("$@")
((${#targets[@]})) || targets=(answers results errors cards)

# With a target triple the flags do not reach build scripts, which could not be linked with them.
host=$(rustc -vV | sed -n 's/^host: //p')
out=../target/fuzz
coverage=(level=4 inline-8bit-counters pc-table trace-compares)
RUSTFLAGS="--cfg fuzzing -Cpasses=sancov-module ${coverage[*]/#/-Cllvm-args=-sanitizer-coverage-}" \
	cargo build --locked --release --target "$host" --target-dir "$out"

for target in "${targets[@]}"; do
	echo "== $target, $seconds s"
	mkdir -p "$out/corpus/$target" "$out/findings/$target"
	# Bounded: 1 GiB, 5 s for an input, 64 KiB an input. New inputs go to the first folder.
	"$out/$host/release/$target" -max_total_time="$seconds" -rss_limit_mb=1024 -timeout=5 -max_len=65536 \
		-dict=members.dict -artifact_prefix="$out/findings/$target/" -verbosity=0 -print_final_stats=1 \
		"$out/corpus/$target" "seeds/$target"
done
