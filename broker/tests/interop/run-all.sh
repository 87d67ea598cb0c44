#!/usr/bin/env bash
# All client libraries, those for Go and Java included: `run-all.sh`, or `run-all.sh HOST:PORT` against another broker,
# with the time of each.
set -euo pipefail
cd "$(dirname "$0")"
[ $# -eq 0 ] || export MILLRACE_TEST_BROKER=$1
cargo test --locked -p millrace --test interop --no-run
failed=0
for name in mosquitto rumqttc paho_for_python mqtt_js paho_for_go hivemq_for_java; do
  start=$SECONDS
  cargo test --locked --quiet -p millrace --test interop -- --include-ignored "$name" || failed=1
  printf '%5d s  %s\n' $((SECONDS - start)) "$name"
done
exit $failed
