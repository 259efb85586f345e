import { expect, test } from 'vitest';
import { connect } from '../../src/client/client.ts';
import { Kind, protocolVersion } from '../../src/protocol/frame.ts';
import { FakeBroker, type FakeConnection } from './fake-broker.ts';

const theirs = '9.4';
const refusal = {
  code: 'protocol_version',
  message: expect.stringMatching(new RegExp(`${theirs}.*${protocolVersion}|${protocolVersion}.*${theirs}`)),
};
const refuse = (connection: FakeConnection) =>
  connection.goodbye('protocol_version', `The client speaks protocol ${protocolVersion}, this broker ${theirs}.`);
const welcome = (connection: FakeConnection) => connection.welcome(theirs);

test.each([
  ['refuses this client', refuse],
  ['welcomes it all the same', welcome],
])('a first connect to a broker of another major version that %s names both', async (_, greet) => {
  const broker = new FakeBroker(greet);
  await expect(connect({ transport: broker.transport })).rejects.toMatchObject(refusal);
  expect(broker.connections).toHaveLength(1);
});

test('another minor version is welcome', async () => {
  const [major] = protocolVersion.split('.');
  await using client = await connect({
    transport: new FakeBroker((connection) => connection.welcome(`${major}.99`)).transport,
  });
  expect(client.welcome?.protocol).toBe(`${major}.99`);
});

test.each([
  ['refuses this client', refuse],
  ['welcomes it all the same', welcome],
])('a reconnect that meets a broker of another major version that %s is the last one', async (_, greet) => {
  const broker = new FakeBroker((connection, at) => (at === 0 ? connection.welcome() : greet(connection)));
  const client = await connect({ transport: broker.transport });
  const closed = Promise.withResolvers<Error | undefined>();
  client.onState((state, why) => state === 'closed' && closed.resolve(why));
  const first = await broker.connection(0);
  const subscribed = client.subscribe('a.*');
  first.reply(await first.request('topic.subscribe'), { subscriptions: 1 });
  const subscription = await subscribed;
  const next = subscription.next();
  first.stream.destroy();
  const submitted = expect(client.submit({ operation: 'x' })).rejects.toMatchObject(refusal);
  expect(await closed.promise).toMatchObject(refusal);
  await submitted;
  expect(await next).toMatchObject({ done: true });
  expect(client.state).toBe('closed');
  await expect(client.request('broker.health', {})).rejects.toMatchObject(refusal);
  expect(broker.connections).toHaveLength(2);
  expect(broker.connections[1]!.left.filter(([kind]) => kind === Kind.request)).toEqual([]);
});
