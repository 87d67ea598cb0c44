#!/bin/sh
# Runs every fuzz target, dividing the time: run.sh [SECONDS_TOTAL] (60 if not given). Starts from
# seeds/TARGET; what libFuzzer finds on the way stays in corpus/ and what crashes in artifacts/, neither
# of which is committed. Ends with 1 if a target crashed, after having run them all. FUZZ_FLAGS are flags of
# `cargo fuzz run`, such as `--dev --sanitizer none`.
set -u
cd "$(dirname "$0")" || exit 1
total=${1:-60}
targets=$(cargo +nightly fuzz list --fuzz-dir .) || exit 1
count=$(echo "$targets" | wc -l)
each=$((total / count))
[ "$each" -gt 0 ] || each=1
failed=0
for target in $targets; do
    echo "== $target: ${each} s"
    mkdir -p "corpus/$target" "artifacts/$target" "seeds/$target"
    # shellcheck disable=SC2086 # several words
    if ! cargo +nightly fuzz run --fuzz-dir . ${FUZZ_FLAGS:-} "$target" "corpus/$target" "seeds/$target" -- \
        -max_total_time="$each" -timeout=10 -rss_limit_mb=2048 -print_final_stats=1; then
        echo "== $target failed; artifacts are in $(pwd)/artifacts/$target:" >&2
        ls -1 "artifacts/$target" >&2
        failed=1
    fi
done
exit $failed
