#!/usr/bin/env bash
# Kafka Streams itself on the broker: three of its applications, at-least-once and exactly-once, whose output is compared
# in full with a direct computation. One line for each: `feature NAME ok` or `feature NAME FAILED reason`.
#
#   kafka_streams.sh BOOTSTRAP [RECORDS [WORKLOAD:GUARANTEE...]]
#
# Without cases it runs all six. ANCHOR_DIR names the Kafka Streams counterpart of the benchmark.
set -uo pipefail
bench=${ANCHOR_DIR:?names the Kafka Streams counterpart of the benchmark}/bench
bootstrap=$1
records=${2:-20000}
shift $(($# < 2 ? $# : 2))
cases=("$@")
[ ${#cases[@]} -gt 0 ] || cases=({wordcount,surge,fraud}:{at_least_once,exactly_once_v2})
id=$(date +%s)
state=$(mktemp -d)
trap 'rm -rf "$state"' EXIT

run() { # workload, guarantee
  local app=$1-$2-$id log began=$SECONDS
  log=$("$bench" run --bootstrap "$bootstrap" --workload "$1" --threads 1 --guarantee "$2" --app-id "$app" --state-dir "$state/$app" 2>&1) ||
    { echo "feature $1-$2 FAILED the application: $(tail -n 1 <<<"$log")"; return 1; }
  echo "$log" | grep '^{' | tail -n 1
  log=$("$bench" verify --bootstrap "$bootstrap" --workload "$1" --records "$records" --output "$app-out" 2>&1) ||
    { echo "feature $1-$2 FAILED verify: $(tail -n 1 <<<"$log")"; return 1; }
  echo "$log" | tail -n 1
  echo "feature $1-$2 ok $((SECONDS - began)) s"
}

failed=0 loaded=
for case in "${cases[@]}"; do
  workload=${case%%:*}
  if [[ " $loaded " != *" $workload "* ]]; then
    "$bench" load --bootstrap "$bootstrap" --workload "$workload" --records "$records" >/dev/null 2>&1 ||
      { echo "feature $workload-load FAILED the input cannot be written"; failed=1; continue; }
    loaded+=" $workload"
  fi
  run "$workload" "${case#*:}" || failed=1
done
exit $failed
