#!/usr/bin/env bash
# kcat (librdkafka) against a broker.
#
# Usage: kcat_client.sh BOOTSTRAP SASL_BOOTSTRAP CA_FILE; prints what it saw, and a line for each feature.
set -uo pipefail
bootstrap=$1 sasl_bootstrap=$2 ca=$3
run=$(date +%s%N)
numbers=$(seq 100)

# topic, then options of the connection, then those of the producer behind --
round_trip() {
  local topic=$1 connection=()
  shift
  while [ $# -gt 0 ] && [ "$1" != -- ]; do connection+=("$1"); shift; done
  shift
  echo "$numbers" | kcat "${connection[@]}" -P -t "$topic" -p 0 "$@" || return 1
  [ "$(kcat "${connection[@]}" -C -q -e -t "$topic" -p 0 -o beginning)" = "$numbers" ]
}

records() { round_trip "kcat-records-$run" -b "$bootstrap" --; }
codecs() {
  local codec
  for codec in gzip snappy lz4 zstd; do
    round_trip "kcat-$codec-$run" -b "$bootstrap" -- -z "$codec" || { echo "codec $codec"; return 1; }
  done
}
groups() {
  round_trip "kcat-groups-$run" -b "$bootstrap" -- || return 1
  [ "$(timeout 30 kcat -b "$bootstrap" -G "kcat-$run" -q -c 100 -X auto.offset.reset=earliest "kcat-groups-$run")" = "$numbers" ]
}
admin() { kcat -b "$bootstrap" -L | grep -q "kcat-records-$run"; }
# librdkafka before 2.6.1 repeats its nonce in SCRAM's last message, which this server and Apache Kafka since 3.7.2 refuse
# (CVE-2024-56128).
library=$(kcat -V | sed -n 's/.*librdkafka \([0-9.]*\).*/\1/p')
mechanisms=(PLAIN SCRAM-SHA-256 SCRAM-SHA-512)
note=
if [ "$(printf '%s\n' 2.6.1 "$library" | sort -V | head -1)" != 2.6.1 ]; then
  mechanisms=(PLAIN)
  note="PLAIN only: SCRAM of its librdkafka $library repeats the nonce, which Apache Kafka refuses as well"
fi
sasl_ssl() {
  local mechanism
  for mechanism in "${mechanisms[@]}"; do
    round_trip "kcat-$mechanism-$run" -b "$sasl_bootstrap" -X security.protocol=SASL_SSL -X "ssl.ca.location=$ca" \
      -X "sasl.mechanism=$mechanism" -X sasl.username=alice -X sasl.password=alice-secret -- || { echo "$mechanism"; return 1; }
  done
}

for feature in records codecs groups admin sasl_ssl; do
  if "$feature"; then echo "feature $feature ok $([ "$feature" != sasl_ssl ] || echo "$note")"; else echo "feature $feature FAILED see the lines above"; fi
done
echo "feature transactions none kcat has no transactions"
