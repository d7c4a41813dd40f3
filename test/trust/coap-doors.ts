// The ways into the broker that speak CoAP over DTLS: what is shown in the handshake, and the session that comes of it.

import { createPrivateKey, randomBytes, X509Certificate } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';

import {
  Code,
  decodeUdp,
  emptyMessage,
  encodeUdp,
  MessageType,
  OptionNumber,
  type CoapOption,
} from '../../src/protocols/coap/codec/index.ts';
import { boundSocket, DtlsUdpClient } from '../harness/net/dtls-client.ts';

import type { TestClientOptions } from '../../src/net/dtls/testing/test-client.ts';
import type { Door, Line } from './doors.ts';
import type { Account } from './world.ts';

/** Who has a wrong key hears nothing at all (RFC 4279 §2): then this is how long it waits. */
const silenceMs = 1200;
const pollMs = 5;

const noBytes = new Uint8Array();

/** Observes its own branch; what it sends there comes back. */
export class CoapLine implements Line {
  readonly #client: DtlsUdpClient;
  readonly #path: readonly CoapOption[];
  readonly #observing = randomBytes(4);
  readonly #notified: string[] = [];
  readonly #answers = new Map<string, number>();
  #read = 0;
  #messageId = randomBytes(2).readUInt16BE();
  #sent = 0;

  private constructor(client: DtlsUdpClient, { id }: Account) {
    this.#client = client;
    this.#path = ['t', 'dev', id, 'x'].map((part) => ({ number: OptionNumber.uriPath, value: Buffer.from(part) }));
  }

  static async open(port: number, account: Account, options: Partial<TestClientOptions>): Promise<CoapLine> {
    const client = new DtlsUdpClient(await boundSocket(), port, options).start();
    const line = new CoapLine(client, account);
    try {
      await line.#until(() => client.client.isOpen, 'a session');
      const observe = { number: OptionNumber.observe, value: noBytes };
      const code = await line.#ask(Code.get, line.#observing, [observe, ...line.#path], noBytes);
      if (code >= 0x80 && code !== Code.notFound) throw new Error(`code ${code.toString(16)} for the observation`);
      return line;
    } catch (error) {
      line.close();
      throw error;
    }
  }

  async works(): Promise<void> {
    const payload = `m${++this.#sent}`;
    const code = await this.#ask(Code.post, randomBytes(4), this.#path, Buffer.from(payload));
    if (code !== Code.changed) throw new Error(`code ${code.toString(16)} for a publish`);
    await this.#until(() => this.#notified.includes(payload), 'what it has sent');
  }

  /** The session is closed with a goodbye. */
  async over(): Promise<void> {
    while (!this.#isOver) await sleep(pollMs);
  }

  close(): void {
    if (this.#client.client.isOpen) this.#client.leave();
    else this.#client.close();
  }

  get #isOver(): boolean {
    this.#readAll();
    return this.#client.client.state === 'closed' || this.#client.client.alerts.length > 0;
  }

  async #ask(code: number, token: Uint8Array, options: readonly CoapOption[], payload: Uint8Array): Promise<number> {
    const key = Buffer.from(token).toString('hex');
    this.#messageId = (this.#messageId + 1) & 0xffff;
    const bytes = encodeUdp(MessageType.confirmable, this.#messageId, code, token, options, payload);
    this.#answers.delete(key);
    this.#client.send(bytes);
    await this.#until(() => this.#answers.has(key), 'an answer');
    return this.#answers.get(key)!;
  }

  async #until(condition: () => boolean, what: string): Promise<void> {
    const untilMs = performance.now() + silenceMs;
    for (;;) {
      this.#readAll();
      if (condition()) return;
      if (this.#isOver) throw new Error(`the session ended before ${what} came`);
      if (performance.now() > untilMs) throw new Error(`no ${what}`);
      await sleep(pollMs);
    }
  }

  #readAll(): void {
    const { data } = this.#client.client;
    for (; this.#read < data.length; this.#read++) {
      const message = decodeUdp(data[this.#read]!);
      if (message === undefined || message.code === Code.empty) continue;
      if (message.type === MessageType.confirmable) this.#client.send(emptyMessage(MessageType.acknowledgement, message.messageId));
      this.#answers.set(Buffer.from(message.token).toString('hex'), message.code);
      if (Buffer.compare(message.token, this.#observing) === 0) this.#notified.push(Buffer.from(message.payload).toString());
    }
  }
}

function certificatesIn(pem: string): Uint8Array[] {
  return pem.match(/-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g)!.map((text) => new X509Certificate(text).raw);
}

export const coapDoors: readonly Door[] = [
  {
    name: 'coaps by certificate',
    listener: 'coaps',
    proof: 'certificate',
    open(world, account) {
      const { certificate, chain, privateKey } = account.certified!;
      const proof = { chain: certificatesIn(certificate + chain), key: createPrivateKey(privateKey) };
      return CoapLine.open(world.port('coaps'), account, { proof, cid: randomBytes(4) });
    },
  },
  {
    name: 'coaps by pre-shared key',
    listener: 'coap-psk',
    proof: 'psk',
    open(world, account) {
      const identity = account.tenant === 'main' ? account.id : `${account.tenant}/${account.id}`;
      const psk = { identity, key: Buffer.from(account.psk, 'hex') };
      return CoapLine.open(world.port('coap-psk'), account, { psk, suites: ['PSK-AES128-CCM8'] });
    },
  },
];
