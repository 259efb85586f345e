/**
 * Runs in every test file: whatever a broker in this process sends, and whatever a client in it gets from a socket, is
 * held against the tables. A violation fails the test in which it is found.
 */
import { Socket } from 'node:net';
import { afterAll, afterEach } from 'vitest';
import { Broker } from '../../src/broker/broker.ts';
import { Connection } from '../../src/client/connection.ts';
import { CalleeFaults } from './conversation.ts';
import { CommitLedger } from './ledger.ts';
import { note } from './spoken.ts';
import { tap } from './tap.ts';

const violations: string[] = [];
const witness = { violation: (text: string) => void violations.push(text), spoken: note };
const calleeFaults = new CalleeFaults();
const ledgers = new WeakMap<Broker, CommitLedger>();

const { create } = Broker;
Broker.create = async (options) => {
  const ledger = new CommitLedger();
  const broker = await create.call(Broker, { ...options, store: ledger.watch(options.store) });
  ledgers.set(broker, ledger);
  return broker;
};

const { accept } = Broker.prototype;
Broker.prototype.accept = function (stream, identity) {
  // In-process streams are for callees that a test plays as it likes; sockets are for real ones.
  const collectorsLie = !(stream instanceof Socket);
  tap(stream, 'broker', { ...witness, calleeFaults, collectorsLie, ledger: ledgers.get(this) });
  accept.call(this, stream, identity);
};

const { open } = Connection;
Connection.open = (stream, ...rest) => {
  // An in-process pair is seen at the broker's end.
  if (stream instanceof Socket) tap(stream, 'client', witness);
  return open.call(Connection, stream, ...rest);
};

const check = (): void => {
  const found = violations.splice(0);
  if (found.length > 0) throw new Error(`the broker broke its tables:\n${[...new Set(found)].join('\n')}`);
};
afterEach(check);
afterAll(check);
