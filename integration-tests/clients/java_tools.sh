#!/usr/bin/env bash
# Apache Kafka's own tools, and with them the Java clients, against a broker; KAFKA_TOOL starts them.
#
# Usage: java_tools.sh BOOTSTRAP SASL_BOOTSTRAP CA_FILE; prints what it saw, and a line for each feature.
set -uo pipefail
bootstrap=$1 sasl_bootstrap=$2 ca=$3
run=$(date +%s%N)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
numbers=$(seq 100)
export KAFKA_CLI_OPTS="-Xmx256M -XX:TieredStopAtLevel=1"

tool() { local name=$1; shift; timeout 60 "$KAFKA_TOOL" cli "$name" "$@"; }
plain() { local name=$1; shift; tool "$name" --bootstrap-server "$bootstrap" "$@"; }

cat >"$work/sasl.properties" <<EOF
security.protocol=SASL_SSL
sasl.mechanism=SCRAM-SHA-512
sasl.jaas.config=org.apache.kafka.common.security.scram.ScramLoginModule required username="alice" password="alice-secret";
ssl.truststore.type=PEM
ssl.truststore.location=$ca
EOF

produce() { local topic=$1; shift; echo "$numbers" | plain console-producer --topic "$topic" "$@"; }
# topic, and how often each number must be in it
consume() {
  local topic=$1 times=$2
  plain console-consumer --topic "$topic" --from-beginning --max-messages $((100 * times)) --timeout-ms 20000 \
    >"$work/records" 2>"$work/errors"
  [ "$(sort -n "$work/records" | uniq -c)" = "$(yes "$numbers" | head -$((100 * times)) | sort -n | uniq -c)" ] ||
    { cat "$work/records" "$work/errors"; return 1; }
}

records() { produce "java-records-$run" && consume "java-records-$run" 1; }
codecs() {
  local codec
  for codec in gzip snappy lz4 zstd; do
    produce "java-codecs-$run" --compression-codec "$codec" || { echo "codec $codec"; return 1; }
  done
  consume "java-codecs-$run" 4
}
groups() {
  local topic=java-records-$run group=java-$run
  plain console-consumer --topic "$topic" --group "$group" --from-beginning --max-messages 100 --timeout-ms 20000 >/dev/null || return 1
  plain consumer-groups --describe --group "$group" | tee "$work/described"
  grep -q "$topic" "$work/described" || return 1
  plain consumer-groups --reset-offsets --group "$group" --topic "$topic" --to-earliest --execute || return 1
  plain consumer-groups --delete --group "$group"
}
transactions() {
  local topic=java-txn-$run
  tool producer-perf-test --topic "$topic" --num-records 2000 --record-size 100 --throughput 1000 \
    --transaction-duration-ms 200 --producer-props "bootstrap.servers=$bootstrap" "transactional.id=$topic" || return 1
  local count
  count=$(plain console-consumer --topic "$topic" --from-beginning --isolation-level read_committed --max-messages 2000 \
    --timeout-ms 20000 2>/dev/null | wc -l)
  echo "committed: $count"
  [ "$count" = 2000 ] && plain transactions describe --transactional-id "$topic"
}
admin() {
  local topic=java-admin-$run user=java-user-$run
  plain topics --create --topic "$topic" --partitions 3 && plain topics --alter --topic "$topic" --partitions 4 || return 1
  plain topics --describe --topic "$topic" | tee "$work/described"
  grep -q "PartitionCount: 4" "$work/described" || return 1
  plain configs --alter --entity-type topics --entity-name "$topic" --add-config retention.ms=1000 || return 1
  plain configs --describe --entity-type topics --entity-name "$topic" | tee "$work/described"
  grep -q retention.ms=1000 "$work/described" || return 1
  plain configs --alter --entity-type users --entity-name "$user" --add-config 'SCRAM-SHA-256=[password=secret]' || return 1
  plain configs --describe --entity-type users --entity-name "$user" | tee "$work/described"
  grep -q SCRAM-SHA-256 "$work/described" || return 1
  plain acls --add --deny-principal "User:$user" --operation Read --topic "$topic" || return 1
  plain acls --list --topic "$topic" | tee "$work/described"
  grep -q "User:$user" "$work/described" || return 1
  plain acls --remove --force --topic "$topic" || return 1
  plain topics --delete --topic "$topic"
}
sasl_ssl() {
  local topic=java-sasl-$run
  echo "$numbers" | tool console-producer --bootstrap-server "$sasl_bootstrap" --topic "$topic" \
    --command-config "$work/sasl.properties" || return 1
  local seen
  seen=$(tool console-consumer --bootstrap-server "$sasl_bootstrap" --topic "$topic" --from-beginning --max-messages 100 \
    --timeout-ms 20000 --command-config "$work/sasl.properties")
  [ "$(echo "$seen" | sort -n)" = "$numbers" ]
}

for feature in records codecs groups transactions admin sasl_ssl; do
  if "$feature"; then echo "feature $feature ok"; else echo "feature $feature FAILED see the lines above"; fi
done
