// A server and its clients on a network of the test's own, with a clock that the test moves.

import { createSecretKey } from 'node:crypto';
import { SeededRandom } from '../../../base/random.ts';
import { madeRoot } from '../../../security/pki/testing/made-certificates.ts';
import type { Admission, DtlsEffect, DtlsEndpoint, DtlsSettings, PeerAddress, PskAnswer } from '../endpoint.ts';
import { privateKeySigner } from '../private-key-signer.ts';
import { createDtlsEndpoint } from '../server.ts';
import { TestClient, type TestClientOptions } from './test-client.ts';

export const authority = madeRoot('authority');
export const serverCertificate = authority.issue('server');
export const deviceCertificate = authority.issue('device');
export const deviceProof = { chain: [deviceCertificate.der, authority.der], key: deviceCertificate.signer.key };
export const devicePsk = { identity: 'device', key: Buffer.from('sixteen bytes ok') };

export const standSettings: DtlsSettings = {
  credentials: [{ chain: [serverCertificate.der], signer: privateKeySigner(serverCertificate.signer.key) }],
  clientCertificate: 'request',
  rawPublicKeys: true,
  psk: { hint: new Uint8Array() },
};

export const clientAddress: PeerAddress = { address: '192.0.2.7', port: 40_000 };

export type StandChanges = Partial<DtlsSettings> & { readonly seed?: number };

export class DtlsStand {
  readonly random: SeededRandom;
  readonly endpoint: DtlsEndpoint;
  /** All effects that are not datagrams. */
  readonly effects: DtlsEffect[] = [];
  /** Datagrams of the server that nobody has fetched, by the peer's address and port. */
  readonly mail = new Map<string, Buffer[]>();
  now = 1000;
  /** When set, questions of the server stay open. */
  isSilent = false;
  admit: () => Admission = () => ({ ok: true });
  pskOf: (identity: string) => PskAnswer | undefined = (identity) =>
    identity === devicePsk.identity ? { key: createSecretKey(devicePsk.key) } : undefined;

  constructor({ seed = 1, ...changes }: StandChanges = {}) {
    this.random = new SeededRandom(seed);
    this.endpoint = createDtlsEndpoint({ ...standSettings, ...changes }, this.random);
  }

  reconfigure(changes: Partial<DtlsSettings>): void {
    this.endpoint.reconfigure({ ...standSettings, ...changes });
  }

  client(options: Partial<TestClientOptions> = {}): TestClient {
    return new TestClient({ random: this.random, psk: devicePsk, ...options });
  }

  /** Hands a datagram to the server, answers its questions, keeps what it sends. */
  deliver(datagram: Uint8Array, from: PeerAddress = clientAddress): void {
    // As a socket might, it uses its memory again at once.
    const memory = Buffer.from(datagram);
    const effects = this.endpoint.receive(memory, from, this.now);
    memory.fill(0xa5);
    this.take(effects);
  }

  take(effects: readonly DtlsEffect[]): void {
    for (const effect of effects) {
      if (effect.kind === 'datagram') {
        const key = `${effect.to.address}|${effect.to.port}`;
        const waiting = this.mail.get(key);
        if (waiting === undefined) this.mail.set(key, [Buffer.from(effect.bytes)]);
        else waiting.push(Buffer.from(effect.bytes));
        continue;
      }
      this.effects.push(effect);
      if (this.isSilent) continue;
      if (effect.kind === 'pskWanted') {
        this.take(this.endpoint.pskAnswer(effect.handshake, this.pskOf(Buffer.from(effect.identity).toString()), this.now));
      } else if (effect.kind === 'certificateWanted' || effect.kind === 'rawKeyWanted') {
        this.take(this.endpoint.admissionAnswer(effect.handshake, this.admit(), this.now));
      }
    }
  }

  fetch({ address, port }: PeerAddress = clientAddress): Buffer[] {
    const key = `${address}|${port}`;
    const waiting = this.mail.get(key) ?? [];
    this.mail.delete(key);
    return waiting;
  }

  /** Datagrams go to and fro until nobody has more to say. */
  exchange(client: TestClient, from: PeerAddress = clientAddress): void {
    for (;;) {
      const outward = client.takeOut();
      for (const datagram of outward) this.deliver(datagram, from);
      const inward = this.fetch(from);
      for (const datagram of inward) client.receive(datagram, this.now);
      if (outward.length === 0 && inward.length === 0) return;
    }
  }

  /** A whole handshake over a network that loses nothing. */
  connect(options: Partial<TestClientOptions> = {}, from: PeerAddress = clientAddress): TestClient {
    const client = this.client(options);
    client.start(this.now);
    this.exchange(client, from);
    return client;
  }

  of<K extends DtlsEffect['kind']>(kind: K): Extract<DtlsEffect, { kind: K }>[] {
    return this.effects.filter((effect) => effect.kind === kind) as Extract<DtlsEffect, { kind: K }>[];
  }

  last<K extends DtlsEffect['kind']>(kind: K): Extract<DtlsEffect, { kind: K }> {
    const found = this.of(kind).at(-1);
    if (found === undefined) throw new Error(`no ${kind} among ${this.effects.map((effect) => effect.kind).join(', ')}`);
    return found;
  }

  /** Moves the clock to each deadline up to `ms` from now, and does what is due. */
  pass(ms: number): void {
    const end = this.now + ms;
    for (let next = this.endpoint.nextDeadline(); next <= end; next = this.endpoint.nextDeadline()) {
      this.now = Math.max(this.now, next);
      this.take(this.endpoint.tick(this.now));
    }
    this.now = end;
  }
}
