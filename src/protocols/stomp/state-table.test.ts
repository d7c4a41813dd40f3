// Every state of a connection and everything that can happen in it.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { allowAll } from '../../broker/testing/test-broker.ts';
import type { AuthenticationResult } from '../../security/security.ts';
import type { State } from './connection-state.ts';
import { encodeFrame } from './codec/index.ts';
import { StompServer } from './server.ts';
import { StompConnection } from './connection.ts';
import { House, type Peer } from './testing/house.ts';

type Kind = State['kind'];
type Event = 'CONNECT' | 'SEND' | 'DISCONNECT' | 'garbage' | 'beat' | 'deadline' | 'drained' | 'shutDown' | 'detached' | 'gone';

const connect = encodeFrame('CONNECT', [
  ['accept-version', '1.2'],
  ['heart-beat', '1,0'],
]);

const reach: Readonly<Record<Kind, (house: House) => StompConnection>> = {
  awaitingConnect: (house) => house.peer().connection,
  authenticating: (house) => stuck(house, { authenticate: () => {} }),
  attaching: (house) => stuck(house, {}),
  connected: (house) => (house.peer().bytes(connect) as Peer).connection,
  closing: (house) => {
    const { connection } = house.peer().bytes(connect);
    connection.shutDown();
    return connection;
  },
  closed: (house) => {
    const { connection } = house.peer().bytes(connect);
    connection.onClosed();
    return connection;
  },
};

/** Its security or its broker never answers. */
function stuck(
  house: House,
  security: { authenticate?: (credentials: unknown, answer: (result: AuthenticationResult) => void) => void },
): StompConnection {
  const { parts, options } = house.server;
  const server = new StompServer({ ...parts, security: { ...allowAll, ...security }, broker: { attach() {} } }, options);
  const connection = new StompConnection(server, house.peer().wire);
  connection.receive(connect);
  return connection;
}

const happen: Readonly<Record<Event, (connection: StompConnection, house: House) => void>> = {
  CONNECT: (connection) => connection.receive(connect),
  SEND: (connection) => connection.receive(encodeFrame('SEND', [['destination', 'a']], 'x')),
  DISCONNECT: (connection) => connection.receive(encodeFrame('DISCONNECT', [])),
  garbage: (connection) => connection.receive(Buffer.from('\rGET / HTTP/1.1')),
  beat: (connection) => connection.receive(Buffer.from('\n')),
  deadline: (connection, house) => {
    house.test.clock.advance(100_000);
    connection.onDeadline();
  },
  drained: (connection) => connection.onDrained(),
  shutDown: (connection) => connection.shutDown(),
  detached: (connection) => connection.detached('administrative'),
  gone: (connection) => connection.onClosed(),
};

/** What follows; a state that is not named is kept. While it waits for an answer, what comes is only kept. */
const table: Readonly<Record<Exclude<Kind, 'closed'>, Partial<Record<Event, Kind>>>> = {
  awaitingConnect: {
    CONNECT: 'connected',
    SEND: 'closing',
    DISCONNECT: 'closing',
    garbage: 'closing',
    deadline: 'closing',
    shutDown: 'closing',
    detached: 'closing',
    gone: 'closed',
  },
  authenticating: { deadline: 'closing', shutDown: 'closing', detached: 'closing', gone: 'closed' },
  attaching: { deadline: 'closing', shutDown: 'closing', detached: 'closing', gone: 'closed' },
  connected: {
    CONNECT: 'closing',
    DISCONNECT: 'closing',
    garbage: 'closing',
    deadline: 'closing',
    shutDown: 'closing',
    detached: 'closing',
    gone: 'closed',
  },
  closing: { gone: 'closed' },
};

for (const [from, row] of Object.entries(table) as [Exclude<Kind, 'closed'>, Partial<Record<Event, Kind>>][]) {
  for (const event of Object.keys(happen) as Event[]) {
    const to = row[event] ?? from;
    test(`${from}: ${event} leads to ${to}`, async () => {
      const house = await House.open();
      const connection = reach[from](house);
      assert.equal(connection.state, from);
      happen[event](connection, house);
      house.test.settle();
      assert.equal(connection.state, to);
    });
  }
}

test('closed: nothing is left of it', async () => {
  const house = await House.open();
  assert.equal(reach.closed(house).state, 'closed');
  house.test.settle();
  assert.equal(house.test.broker.sessionCount, 0);
  assert.equal(house.server.counters.connections, 0);
});
