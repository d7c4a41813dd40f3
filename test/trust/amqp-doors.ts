// The ways into the broker that speak AMQP 1.0: what is shown there, and the connection that comes of it.

import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';

import { type Performative, ProtocolId, type SaslFrame } from '../../src/protocols/amqp/codec/index.ts';
import { type Heard, inWords, Listener } from '../../src/protocols/amqp/testing/frame-words.ts';
import { begin, frame, header, sasl, senderAttach, transfer } from '../../src/protocols/amqp/testing/peer-frames.ts';
import { ScramClient } from '../../src/security/authentication/testing/scram-client.ts';
import { overTcp, overTls, overWebSocket, tlsOptions, type Door, type Line } from './doors.ts';

import type { ConnectionOptions } from 'node:tls';
import type { Duplex } from 'node:stream';
import type { Account } from './world.ts';

/** How a peer says by SASL who it is; undefined: it does not. */
type Saying =
  | { readonly mechanism: string; readonly first?: Uint8Array; readonly next?: (challenge: Uint8Array) => Uint8Array }
  | undefined;

/** Its messages go to its own branch and come back. */
export class AmqpLine implements Line {
  readonly #socket: Duplex;
  readonly #listener = new Listener();
  readonly #ended: Promise<void>;
  #heard: Heard[] = [];
  #wake = (): void => {};
  #isOver = false;
  #sent = 0;

  constructor(socket: Duplex) {
    this.#socket = socket;
    socket.on('data', (bytes: Uint8Array) => {
      this.#heard.push(...this.#listener.hear(new Uint8Array(bytes)));
      this.#wake();
    });
    socket.on('error', () => {});
    this.#ended = new Promise((resolve) => {
      const over = (): void => {
        this.#isOver = true;
        this.#wake();
        resolve();
      };
      socket.once('end', over).once('close', over);
    });
  }

  /** What comes next that fits; what came before it is forgotten. Rejects when the line ends before. */
  async next<T extends Heard>(fits: (heard: Heard) => heard is T): Promise<T> {
    const seen: string[] = [];
    for (;;) {
      for (let heard = this.#heard.shift(); heard !== undefined; heard = this.#heard.shift()) {
        if (fits(heard)) return heard;
        seen.push(inWords(heard));
      }
      if (this.#isOver) throw new Error(`the line has ended: ${seen.join('; ')}`);
      await new Promise<void>((resolve) => (this.#wake = resolve));
    }
  }

  send(...pieces: Uint8Array[]): void {
    this.#socket.write(Buffer.concat(pieces));
  }

  /** Resolves when it is open, with a link of each direction; rejects when it is refused. */
  static async open(socket: Duplex, account: Account, saying: Saying): Promise<AmqpLine> {
    const line = new AmqpLine(socket);
    try {
      if (saying !== undefined) await line.#prove(saying);
      const address = `dev/${account.id}/x`;
      line.send(
        header(),
        frame(0, { type: 'open', containerId: account.id }),
        frame(0, begin),
        frame(0, senderAttach({ name: 'out', target: { type: 'target', address } })),
        frame(0, {
          type: 'attach',
          name: 'in',
          handle: 1,
          role: 'receiver',
          source: { type: 'source', address },
          target: { type: 'target' },
        }),
        frame(0, {
          type: 'flow',
          nextIncomingId: 0,
          incomingWindow: 1000,
          nextOutgoingId: 0,
          outgoingWindow: 1000,
          handle: 1,
          deliveryCount: 0,
          linkCredit: 1000,
        }),
      );
      for (const handle of [0, 1]) {
        const answer = await line.next(isOneOf('attach', 'close'));
        if (answer.type === 'close') throw new Error(inWords(answer));
        assert.ok(answer.source !== undefined || answer.target !== undefined, `link ${handle} is refused`);
      }
      return line;
    } catch (error) {
      line.close();
      throw error;
    }
  }

  async #prove({ mechanism, first, next }: NonNullable<Saying>): Promise<void> {
    this.send(header(ProtocolId.sasl), sasl({ type: 'sasl-init', mechanism, initialResponse: first }));
    for (;;) {
      const said = await this.next(isSasl);
      if (said.type === 'sasl-outcome' && said.code === 0) return;
      if (said.type === 'sasl-outcome') throw new Error(`SASL outcome ${said.code}`);
      this.send(sasl({ type: 'sasl-response', response: next?.(said.challenge) ?? Uint8Array.of(1) }));
    }
  }

  async works(): Promise<void> {
    const deliveryId = this.#sent++;
    this.send(transfer(deliveryId, `m${deliveryId}`, { handle: 0 }));
    // Both, in any order.
    let isAnswered = false;
    let isDelivered = false;
    while (!isAnswered || !isDelivered) {
      const heard = await this.next(isOneOf('disposition', 'transfer', 'close', 'end', 'detach'));
      if (heard.type === 'disposition' && heard.role === 'receiver') {
        assert.equal(heard.state?.type, 'accepted', inWords(heard));
        isAnswered = true;
      } else if (heard.type === 'transfer') {
        isDelivered = true;
        const last = heard.deliveryId!;
        this.send(frame(0, { type: 'disposition', role: 'receiver', first: last, last, settled: true, state: { type: 'accepted' } }));
      } else if (heard.type !== 'disposition') {
        throw new Error(inWords(heard));
      }
    }
  }

  async over(): Promise<void> {
    const close = await this.next(isOneOf('close'));
    assert.equal(close.error?.condition, 'amqp:connection:forced', 'the peer is told why');
    await this.#ended;
  }

  close(): void {
    this.#socket.destroy();
  }
}

type Frame = Performative['type'];

function isOneOf<T extends Frame>(...types: readonly T[]) {
  return (heard: Heard): heard is Extract<Heard, { readonly type: T }> => (types as readonly string[]).includes(heard.type);
}

function isSasl(heard: Heard): heard is Extract<SaslFrame, { readonly type: 'sasl-outcome' | 'sasl-challenge' }> {
  return heard.type === 'sasl-outcome' || heard.type === 'sasl-challenge';
}

function nameOf({ tenant, id }: Account): string {
  return tenant === 'main' ? id : `${tenant}/${id}`;
}

function plain(account: Account): Saying {
  return { mechanism: 'PLAIN', first: Buffer.from(`\0${nameOf(account)}\0${account.password}`) };
}

function scram(account: Account): Saying {
  const client = new ScramClient(nameOf(account), account.password, randomBytes(18).toString('hex'));
  return { mechanism: 'SCRAM-SHA-256', first: client.first(), next: (challenge) => client.final(challenge) };
}

const external: Saying = { mechanism: 'EXTERNAL', first: new Uint8Array(0) };

export function pskOptions(account: Account): ConnectionOptions {
  const pskCallback = () => ({ psk: Buffer.from(account.psk, 'hex'), identity: nameOf(account) });
  return { host: '127.0.0.1', pskCallback, checkServerIdentity: () => undefined } as ConnectionOptions;
}

export const amqpDoors: readonly Door[] = [
  {
    name: 'amqp by password',
    listener: 'amqp',
    proof: 'password',
    open: async (world, account) => AmqpLine.open(await overTcp(world.port('amqp')), account, plain(account)),
  },
  {
    name: 'amqp by SCRAM',
    listener: 'amqp',
    proof: 'scram',
    open: async (world, account) => AmqpLine.open(await overTcp(world.port('amqp')), account, scram(account)),
  },
  {
    name: 'amqp by token',
    listener: 'amqp-token',
    proof: 'jwt',
    open: async (world, account) => {
      const first = Buffer.from(`n,,\x01auth=Bearer ${account.jwt}\x01\x01`);
      return AmqpLine.open(await overTcp(world.port('amqp-token')), account, { mechanism: 'OAUTHBEARER', first });
    },
  },
  {
    name: 'amqps by certificate',
    listener: 'amqps',
    proof: 'certificate',
    open: async (world, account) =>
      AmqpLine.open(await overTls(world.port('amqps'), tlsOptions(world, account.certified)), account, external),
  },
  {
    name: 'amqps by certificate, without SASL',
    listener: 'amqps',
    proof: 'certificate',
    open: async (world, account) =>
      AmqpLine.open(await overTls(world.port('amqps'), tlsOptions(world, account.certified)), account, undefined),
  },
  {
    name: 'amqps by pre-shared key',
    listener: 'amqp-psk',
    proof: 'psk',
    open: async (world, account) => AmqpLine.open(await overTls(world.port('amqp-psk'), pskOptions(account)), account, external),
  },
  {
    name: 'ws, AMQP by password',
    listener: 'ws',
    proof: 'password',
    open: async (world, account) =>
      AmqpLine.open(await overWebSocket(`ws://127.0.0.1:${world.port('ws')}/mqtt`, {}, 'amqp'), account, plain(account)),
  },
  {
    name: 'wss, AMQP by certificate',
    listener: 'wss',
    proof: 'certificate',
    async open(world, account) {
      const { host: _, ...options } = tlsOptions(world, account.certified);
      return AmqpLine.open(await overWebSocket(`wss://localhost:${world.port('wss')}/mqtt`, options, 'amqp'), account, external);
    },
  },
];
