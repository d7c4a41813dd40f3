// AMQP peers that are slow, too large, never read, or churn: each costs what it may, and the others notice nothing.

import assert from 'node:assert/strict';
import { connect, type Socket } from 'node:net';

import { type Attach, ProtocolId, stringValue } from '../../src/protocols/amqp/codec/index.ts';
import { begin, frame, header, sasl, senderAttach } from '../../src/protocols/amqp/testing/peer-frames.ts';
import { until, type CheckContext, type Checks } from '../interop/checks.ts';
import { AmqpLine } from '../trust/amqp-doors.ts';
import { BrokerProcess } from './broker-process.ts';

import type { Account } from '../trust/world.ts';

const MiB = 1024 * 1024;
const limitMs = 60_000;
const soonMs = 10_000;

export async function hostileAmqpPeers(checks: Checks): Promise<void> {
  await checks.check('amqp peers: a handshake that comes byte by byte is cut in time', slowHandshakes, limitMs);
  await checks.check('amqp peers: frames above the limit end their connection before they are read', oversized, limitMs);
  await checks.check('amqp peers: those that ask and never read are held back', neverRead, limitMs);
  await checks.check('amqp peers: thousands of links with large attaches take little', manyLinks, limitMs);
  await checks.check('amqp peers: sessions and links that come and go leave nothing behind', churn, limitMs);
}

async function socketTo(context: CheckContext, port: number): Promise<Socket> {
  const socket = connect({ port, host: '127.0.0.1' }).on('error', () => {});
  context.after(() => socket.destroy());
  await new Promise<void>((resolve) => socket.once('connect', () => resolve()));
  return socket;
}

/** Somebody who does nothing wrong. */
async function calm(context: CheckContext, port: number): Promise<AmqpLine> {
  return AmqpLine.open(await socketTo(context, port), { id: 'calm', tenant: 'main' } as Account, undefined);
}

const opening = [header(), frame(0, { type: 'open', containerId: 'hostile' }), frame(0, begin)];

async function slowHandshakes(context: CheckContext): Promise<void> {
  const timeoutMs = 1500;
  const settings = `amqp: {connectTimeoutMs: ${timeoutMs}}\n`;
  const broker = await BrokerProcess.start(context, { settings });
  const port = await broker.served.port('amqp');
  const line = await calm(context, port);
  const plain = sasl({ type: 'sasl-init', mechanism: 'PLAIN', initialResponse: Buffer.from(`\0${'x'.repeat(200)}\0y`) });
  const beginnings = [
    Buffer.concat([header(), frame(0, { type: 'open', containerId: 'x'.repeat(200) })]),
    Buffer.concat([header(ProtocolId.sasl), plain]),
    header(),
    new Uint8Array(0),
  ];
  const startMs = performance.now();
  const slow = await Promise.all(
    Array.from({ length: 100 }, async (_, i) => {
      const each = { socket: await socketTo(context, port), bytes: beginnings[i % beginnings.length]!, endedMs: 0 };
      each.socket.resume().on('close', () => (each.endedMs = performance.now() - startMs));
      return each;
    }),
  );
  let step = 0;
  const drip = setInterval(() => {
    for (const { socket, bytes, endedMs } of slow) if (endedMs === 0 && step < bytes.length) socket.write(bytes.subarray(step, step + 1));
    step++;
  }, 50);
  context.after(() => clearInterval(drip));
  while (slow.some(({ endedMs }) => endedMs === 0)) await line.works();
  clearInterval(drip);
  const ends = slow.map(({ endedMs }) => endedMs);
  const [first, last] = [Math.min(...ends), Math.max(...ends)];
  assert.ok(first >= timeoutMs - 100 && last < timeoutMs + soonMs, `they were cut after ${first.toFixed(0)} to ${last.toFixed(0)} ms`);
  await until(async () => (await broker.status()).connections === 1);
}

async function oversized(context: CheckContext): Promise<void> {
  const broker = await BrokerProcess.start(context);
  const port = await broker.served.port('amqp');
  const line = await calm(context, port);
  const idleBytes = broker.residentBytes();
  const huge = Buffer.concat([Uint8Array.of(0x7f, 0xff, 0xff, 0xff, 2, 0, 0, 0), new Uint8Array(8 * MiB)]);
  await Promise.all(
    Array.from({ length: 50 }, async (_, i) => {
      const socket = await socketTo(context, port);
      const ended = new Promise<void>((resolve) => socket.resume().once('close', () => resolve()));
      // Half of them are strangers still.
      socket.write(Buffer.concat([...(i % 2 === 0 ? opening : [header()]), huge]));
      return ended;
    }),
  );
  await line.works();
  const grewBytes = broker.residentBytes() - idleBytes;
  assert.ok(grewBytes < 100 * MiB, `memory grew by ${(grewBytes / MiB).toFixed(0)} MiB`);
}

async function neverRead(context: CheckContext): Promise<void> {
  const broker = await BrokerProcess.start(context, { settings: 'amqp: {maxOutputBytes: 256KiB}\n' });
  const port = await broker.served.port('amqp');
  const line = await calm(context, port);
  const idleBytes = broker.residentBytes();
  const window = { nextIncomingId: 0, incomingWindow: 1000, nextOutgoingId: 0, outgoingWindow: 1000 };
  const burst = Buffer.concat(Array.from({ length: 8192 }, () => frame(0, { type: 'flow', ...window, echo: true })));
  const sockets = await Promise.all(Array.from({ length: 10 }, () => socketTo(context, port)));
  for (const socket of sockets) {
    socket.pause().write(Buffer.concat(opening));
    const more = (): void => {
      if (socket.destroyed) return;
      if (socket.write(burst)) setImmediate(more);
      else socket.once('drain', more);
    };
    more();
  }
  const pauses = async (): Promise<number> => (await broker.metrics()).sum('heliograph_amqp_pauses_total');
  await until(async () => (await pauses()) >= sockets.length && sockets.every(({ writableNeedDrain }) => writableNeedDrain));
  for (let i = 0; i < 50; i++) await line.works();
  const grewBytes = broker.residentBytes() - idleBytes;
  assert.ok(grewBytes < 100 * MiB, `memory grew by ${(grewBytes / MiB).toFixed(0)} MiB`);
}

async function manyLinks(context: CheckContext): Promise<void> {
  const broker = await BrokerProcess.start(context, { settings: 'broker: {maxSessionsPerPrincipal: 100000}\n' });
  const port = await broker.served.port('amqp');
  const line = await calm(context, port);
  const links = 2000;
  const properties = new Map(Array.from({ length: 2000 }, (_, i) => [`key-${i}`, stringValue('x'.repeat(20))]));
  const idleBytes = broker.residentBytes();
  const peer = new AmqpLine(await socketTo(context, port));
  peer.send(...opening);
  for (let handle = 0; handle < links; handle++) peer.send(frame(0, senderAttach({ handle, name: `l${handle}`, properties })));
  for (let i = 0; i < links; i++) await peer.next((each): each is Attach & { channel: number } => each.type === 'attach');
  await line.works();
  const grewBytes = broker.residentBytes() - idleBytes;
  console.log(`      ${links} links, each with an attach of 60 KiB, take ${(grewBytes / MiB).toFixed(0)} MiB`);
  assert.ok(grewBytes < 250 * MiB, `memory grew by ${(grewBytes / MiB).toFixed(0)} MiB`);
}

async function churn(context: CheckContext): Promise<void> {
  const broker = await BrokerProcess.start(context);
  const port = await broker.served.port('amqp');
  const line = await calm(context, port);
  const peer = new AmqpLine(await socketTo(context, port));
  peer.send(...opening);
  let asked = 0;
  const round = async (): Promise<void> => {
    for (let i = 0; i < 500; i++) {
      const name = `l${asked++}`;
      peer.send(
        frame(1, begin),
        frame(1, senderAttach({ name, handle: 7 })),
        frame(1, {
          type: 'attach',
          name,
          handle: 8,
          role: 'receiver',
          source: { type: 'source', address: 'b/#' },
          target: { type: 'target' },
        }),
        frame(1, { type: 'detach', handle: 7, closed: true }),
        frame(1, { type: 'end' }),
      );
    }
    for (let i = 0; i < 500; i++) await peer.next((each): each is { type: 'end'; channel: number } => each.type === 'end');
    await line.works();
  };
  for (let i = 0; i < 6; i++) await round();
  const warmBytes = broker.residentBytes();
  for (let i = 0; i < 20; i++) await round();
  const grewBytes = broker.residentBytes() - warmBytes;
  assert.ok(grewBytes < 80 * MiB, `memory grew by ${(grewBytes / MiB).toFixed(0)} MiB`);
  // Its connection, and those of the calm one: a connection and two links.
  assert.equal((await broker.status()).sessions.connected, 4);
}
