// kafkajs against a broker.
//
// Usage: node kafkajs.js BOOTSTRAP SASL_BOOTSTRAP CA_FILE; prints what it saw, and a line for each feature.
const fs = require('fs');
const { Kafka, CompressionTypes, logLevel } = require('kafkajs');

const PARTITIONS = 3;
const LIMIT_MS = 30_000;
const run = Date.now();
const [bootstrap, saslBootstrap, ca] = process.argv.slice(2);
const kafka = new Kafka({ clientId: 'matrix', brokers: [bootstrap], logLevel: logLevel.ERROR });
const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));
// A client that leaves waits for its last fetch.
const MAX_WAIT = { maxWaitTimeInMs: 100 };
const name = (what) => `js-${what}-${run}`;

function check(what, actual, expected) {
  console.log(`${what}: ${actual}`);
  if (String(actual) !== String(expected)) throw new Error(`${what}: ${actual} instead of ${expected}`);
}

async function wait(what, condition) {
  for (const began = Date.now(); !(await condition()); await pause(50)) {
    if (Date.now() - began > LIMIT_MS) throw new Error(`${what}: not within ${LIMIT_MS} ms`);
  }
}

async function create(topic) {
  const admin = kafka.admin();
  await admin.connect();
  await admin.createTopics({ topics: [{ topic, numPartitions: PARTITIONS }] });
  return admin;
}

async function roundTrip(client, topic, compression) {
  const admin = await create(topic);
  await admin.disconnect();
  const producer = client.producer();
  await producer.connect();
  const messages = [...Array(100).keys()].map((number) => ({ value: String(number), partition: 0 }));
  await producer.send({ topic, messages, compression });
  await producer.disconnect();
  const consumer = client.consumer({ groupId: topic, ...MAX_WAIT });
  await consumer.connect();
  await consumer.subscribe({ topic, fromBeginning: true });
  const seen = [];
  await consumer.run({ eachMessage: async ({ message }) => { seen.push(message.value.toString()); } });
  await wait('the records come back', () => seen.length >= messages.length);
  await consumer.disconnect();
  check('records', seen.join(' '), messages.map((message) => message.value).join(' '));
}

const records = () => roundTrip(kafka, name('records'));

async function codecs() {
  await roundTrip(kafka, name('gzip'), CompressionTypes.GZIP);
  return 'gzip, the only one that it brings';
}

async function groups() {
  const [topic, groupId] = [name('groups'), name('group')];
  const admin = await create(topic);
  const members = [1, 2].map(() => kafka.consumer({ groupId, ...MAX_WAIT }));
  const shares = [0, 0];
  for (const [at, member] of members.entries()) {
    member.on(member.events.GROUP_JOIN, ({ payload }) => {
      shares[at] = (payload.memberAssignment[topic] || []).length;
    });
    await member.connect();
    await member.subscribe({ topic, fromBeginning: true });
    await member.run({ eachMessage: async () => {} });
    const wanted = at === 0 ? '3,0' : ['1,2', '2,1'];
    await wait(`${at + 1} members share the partitions`, () => wanted.includes(shares.join(',')));
  }
  const described = (await admin.describeGroups([groupId])).groups[0];
  check('group', `${described.state} ${described.members.length}`, 'Stable 2');
  for (const member of members) await member.disconnect();
  const [deleted] = await admin.deleteGroups([groupId]);
  check('deletion of the group', deleted.errorCode, 0);
  await admin.disconnect();
}

async function transact(producer, topic, offsets, number, commits) {
  const transaction = await producer.transaction();
  const partitions = [...Array(PARTITIONS).keys()];
  await transaction.send({ topic, messages: partitions.map((partition) => ({ value: `${number}-${partition}`, partition })) });
  const partition = { partition: 0, offset: String(number) };
  await transaction.sendOffsets({ consumerGroupId: offsets, topics: [{ topic, partitions: [partition] }] });
  await (commits ? transaction.commit() : transaction.abort());
}

async function transactions() {
  const [topic, offsets] = [name('txn'), name('offsets')];
  const admin = await create(topic);
  const producer = kafka.producer({ transactionalId: topic, idempotent: true, maxInFlightRequests: 1 });
  await producer.connect();
  await transact(producer, topic, offsets, 0, true);
  await transact(producer, topic, offsets, 1, false);
  await transact(producer, topic, offsets, 2, true);
  await producer.disconnect();
  const consumer = kafka.consumer({ groupId: topic, readUncommitted: false, ...MAX_WAIT });
  await consumer.connect();
  await consumer.subscribe({ topic, fromBeginning: true });
  const seen = [];
  await consumer.run({ eachMessage: async ({ message }) => { seen.push(message.value.toString()); } });
  await wait('committed records', () => seen.length >= 6);
  await pause(500); // for what must not come
  await consumer.disconnect();
  check('committed records', seen.sort().join(' '), '0-0 0-1 0-2 2-0 2-1 2-2');
  const [fetched] = await admin.fetchOffsets({ groupId: offsets, topics: [topic] });
  check('offset of the last committed transaction', fetched.partitions.find((p) => p.partition === 0).offset, '2');
  await admin.disconnect();
}

async function admin() {
  const topic = name('admin');
  const client = await create(topic);
  await client.createPartitions({ topicPartitions: [{ topic, count: PARTITIONS + 1 }] });
  const { topics } = await client.fetchTopicMetadata({ topics: [topic] });
  check('partitions', topics[0].partitions.length, PARTITIONS + 1);
  const acl = { resourceType: 2, resourceName: topic, resourcePatternType: 3, principal: 'User:bob', host: '*', operation: 3, permissionType: 2 };
  await client.createAcls({ acl: [acl] });
  const found = await client.describeAcls({ ...acl, resourcePatternType: 1, operation: 1, permissionType: 1 });
  check('ACLs', found.resources.length, 1);
  await client.deleteAcls({ filters: [{ ...acl, resourcePatternType: 1 }] });
  await client.deleteTopics({ topics: [topic] });
  check('deleted', (await client.listTopics()).includes(topic), false);
  await client.disconnect();
}

async function saslSsl() {
  for (const mechanism of ['plain', 'scram-sha-256', 'scram-sha-512']) {
    const secured = new Kafka({
      brokers: [saslBootstrap],
      ssl: { ca: [fs.readFileSync(ca)] },
      sasl: { mechanism, username: 'alice', password: 'alice-secret' },
      logLevel: logLevel.ERROR,
    });
    await roundTrip(secured, name(mechanism));
  }
}

async function main() {
  for (const [feature, test] of Object.entries({ records, codecs, groups, transactions, admin, sasl_ssl: saslSsl })) {
    try {
      console.log(`feature ${feature} ok ${(await test()) || ''}`.trim());
    } catch (error) {
      console.error(error);
      console.log(`feature ${feature} FAILED ${error}`.replaceAll('\n', ' '));
    }
  }
  process.exit(0);
}

main();
