// kafkajs against a broker: topics, transactions with offsets, a group, its description and deletion.
//
// Usage: node kafkajs.js BOOTSTRAP; prints what it saw and ends with 0 if all of it was right.
const { Kafka, logLevel } = require('kafkajs');

const PARTITIONS = 3;
const LIMIT_MS = 30_000;
const run = Date.now();
const [topic, group, offsets] = [`js-${run}`, `js-group-${run}`, `js-offsets-${run}`];
const kafka = new Kafka({ clientId: 'matrix', brokers: [process.argv[2]], logLevel: logLevel.ERROR });
const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

function check(what, actual, expected) {
  console.log(`${what}: ${actual}`);
  if (String(actual) !== String(expected)) throw new Error(`${what}: expected ${expected}`);
}

async function transact(producer, number, commits) {
  const transaction = await producer.transaction();
  const partitions = [...Array(PARTITIONS).keys()];
  await transaction.send({ topic, messages: partitions.map((partition) => ({ value: `${number}-${partition}`, partition })) });
  const partition = { partition: 0, offset: String(number) };
  await transaction.sendOffsets({ consumerGroupId: offsets, topics: [{ topic, partitions: [partition] }] });
  await (commits ? transaction.commit() : transaction.abort());
}

async function main() {
  const admin = kafka.admin();
  await admin.connect();
  await admin.createTopics({ topics: [{ topic, numPartitions: PARTITIONS }] });
  const producer = kafka.producer({ transactionalId: `js-${run}`, idempotent: true, maxInFlightRequests: 1 });
  await producer.connect();
  await transact(producer, 0, true);
  await transact(producer, 1, false);
  await transact(producer, 2, true);
  const consumer = kafka.consumer({ groupId: group, readUncommitted: false });
  await consumer.connect();
  await consumer.subscribe({ topic, fromBeginning: true });
  const seen = [];
  await consumer.run({ eachMessage: async ({ message }) => { seen.push(message.value.toString()); } });
  for (const began = Date.now(); seen.length < 6 && Date.now() - began < LIMIT_MS;) await pause(50);
  await pause(500); // for what must not come
  check('committed records', seen.sort().join(' '), '0-0 0-1 0-2 2-0 2-1 2-2');
  const described = (await admin.describeGroups([group])).groups[0];
  check('group', `${described.state} ${described.members.length}`, 'Stable 1');
  const [fetched] = await admin.fetchOffsets({ groupId: offsets, topics: [topic] });
  check('offset of the last committed transaction', fetched.partitions.find((p) => p.partition === 0).offset, '2');
  await consumer.disconnect();
  await producer.disconnect();
  const [deleted] = await admin.deleteGroups([group]);
  check('deletion of the group', deleted.errorCode, 0);
  await admin.disconnect();
}

main().catch((error) => {
  console.error(error);
  process.exit(1);
});
