#!/usr/bin/env bash
# Kafka Streams itself on the broker: three of its applications, at-least-once and exactly-once, whose output is compared
# in full with a direct computation. One line for each: `feature NAME ok` or `feature NAME FAILED reason`.
#
#   kafka_streams.sh BOOTSTRAP [RECORDS]
#
# ANCHOR_DIR names the Kafka Streams counterpart of the benchmark.
set -uo pipefail
bench=${ANCHOR_DIR:?names the Kafka Streams counterpart of the benchmark}/bench
bootstrap=$1
records=${2:-20000}
id=$(date +%s)

run() { # workload, guarantee
  local app=$1-$2-$id log began=$SECONDS
  log=$("$bench" run --bootstrap "$bootstrap" --workload "$1" --threads 1 --guarantee "$2" --app-id "$app" 2>&1) ||
    { echo "feature $1-$2 FAILED the application: $(tail -n 1 <<<"$log")"; return 1; }
  echo "$log" | grep '^{' | tail -n 1
  log=$("$bench" verify --bootstrap "$bootstrap" --workload "$1" --records "$records" --output "$app-out" 2>&1) ||
    { echo "feature $1-$2 FAILED verify: $(tail -n 1 <<<"$log")"; return 1; }
  echo "$log" | tail -n 1
  echo "feature $1-$2 ok $((SECONDS - began)) s"
}

failed=0
for workload in wordcount surge fraud; do
  "$bench" load --bootstrap "$bootstrap" --workload "$workload" --records "$records" >/dev/null 2>&1 ||
    { echo "feature $workload-load FAILED the input cannot be written"; failed=1; continue; }
  for guarantee in at_least_once exactly_once_v2; do
    run "$workload" "$guarantee" || failed=1
  done
done
exit $failed
