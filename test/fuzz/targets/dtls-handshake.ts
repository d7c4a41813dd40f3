// What a client may send that has returned its cookie: hellos of any content, messages and fragments of any kind among the right ones, and
// records that are sealed with its keys. An input is a byte for the way of the handshake, then steps.

import assert from 'node:assert/strict';
import { ByteReader, u16, vector } from '../../../src/net/dtls/bytes.ts';
import { fragmentOf } from '../../../src/net/dtls/handshake-message.ts';
import { contentTypes } from '../../../src/net/dtls/record.ts';
import { deviceProof, DtlsStand } from '../../../src/net/dtls/testing/dtls-stand.ts';
import type { TestClient, TestClientOptions } from '../../../src/net/dtls/testing/test-client.ts';
import type { Target } from '../target.ts';

const ways: readonly Partial<TestClientOptions>[] = [
  { suites: ['PSK-AES128-CCM8'] },
  { suites: ['PSK-AES128-GCM-SHA256'], cid: Buffer.from('beef', 'hex') },
  { suites: ['ECDHE-ECDSA-AES128-CCM8'], proof: deviceProof },
  { suites: ['ECDHE-PSK-AES128-CCM-SHA256'], cid: new Uint8Array() },
];

/** 0–3: the next right message, protected when it is Finished. The others take a length of two bytes and what follows. */
const stepKinds = ['next', 'next', 'record', 'message', 'fragment', 'sealed', 'wait', 'answer'] as const;
const witnessAddress = { address: '192.0.2.1', port: 1 };
const types = [1, 11, 15, 16, 20, 0];

class Attempt {
  readonly stand = new DtlsStand();
  readonly witness: TestClient;
  readonly client: TestClient;
  /** The messages of the client that have been sent as they should be. */
  #done = 0;

  constructor(way: number, hello: Uint8Array | undefined) {
    this.witness = this.stand.connect({ suites: ['PSK-AES128-CCM8'] }, witnessAddress);
    this.client = this.stand.client({ ...ways[way % ways.length], isManual: true });
    this.stand.isSilent = (way & 4) !== 0;
    this.client.start(this.stand.now);
    if (hello === undefined) this.stand.exchange(this.client);
    else this.#sendHello(hello);
  }

  /** With the right cookie, and the bytes in place of all that follows it. */
  #sendHello(rest: Uint8Array): void {
    for (const datagram of this.client.takeOut()) this.stand.deliver(datagram);
    const cookie = this.stand.fetch()[0]!.subarray(-16);
    const whole = this.client.helloBody(cookie);
    const body = Buffer.concat([whole.subarray(0, 2 + 32 + 1 + 17), rest]);
    this.stand.deliver(this.client.clear(contentTypes.handshake, fragmentOf(1, 1, body)));
  }

  get isFinished(): boolean {
    return this.#done === this.#plan.length;
  }

  get #plan(): readonly ((client: TestClient) => { type: number; sequence: number; body: Uint8Array })[] {
    const { client } = this;
    const certificate = client.wantsCertificate ? [() => client.certificate()] : [];
    const verify = client.wantsCertificate && client.options.proof !== undefined ? [() => client.certificateVerify()] : [];
    return [...certificate, () => client.keyExchange(), ...verify, () => client.finished()];
  }

  step(kind: (typeof stepKinds)[number], bytes: Uint8Array): void {
    const { stand, client } = this;
    if (kind === 'next') this.#next();
    else if (kind === 'record') stand.deliver(client.clear(20 + ((bytes[0] ?? 0) & 3), bytes.subarray(1)));
    else if (kind === 'message' || kind === 'fragment') {
      const [type = 0, ahead = 0, offset = 0] = bytes;
      const body = bytes.subarray(3);
      const end = kind === 'message' ? body.length : Math.min(body.length, offset + 40);
      const from = kind === 'message' ? 0 : Math.min(offset, end);
      const message = fragmentOf(types[type % types.length]!, client.nextSequence + (ahead & 3), body, from, end);
      stand.deliver(client.clear(contentTypes.handshake, message));
    } else if (kind === 'sealed' && client.sealer !== undefined)
      stand.deliver(client.sealer.seal(20 + ((bytes[0] ?? 0) % 5), bytes.subarray(1)));
    else if (kind === 'wait') stand.pass(2 ** ((bytes[0] ?? 0) & 15));
    else if (kind === 'answer') this.#answer(bytes[0] ?? 0);
  }

  #next(): void {
    const { stand, client } = this;
    if (client.state !== 'flight') return;
    const plan = this.#plan;
    const make = plan[this.#done];
    if (make === undefined) return;
    this.#done++;
    const message = make(client);
    stand.deliver(this.isFinished ? client.sealMessage(message) : client.clearMessage(message));
  }

  #answer(how: number): void {
    const { stand } = this;
    for (const effect of stand.effects) {
      if (effect.kind === 'pskWanted') {
        stand.take(stand.endpoint.pskAnswer(effect.handshake, (how & 1) === 0 ? stand.pskOf('device') : undefined, stand.now));
      } else if (effect.kind === 'certificateWanted') {
        const admission = (how & 1) === 0 ? ({ ok: true } as const) : ({ ok: false, alert: 'certificate-revoked' } as const);
        stand.take(stand.endpoint.admissionAnswer(effect.handshake, admission, stand.now));
      }
    }
  }
}

function run(input: Uint8Array): readonly string[] {
  const way = input[0] ?? 0;
  const reader = new ByteReader(input.subarray(1));
  const take = (): Uint8Array => {
    const length = reader.left >= 2 ? reader.u16() : 0;
    return reader.take(Math.min(length, reader.left));
  };
  const attempt = new Attempt(way, (way & 8) === 0 ? undefined : take());
  const { stand, client, witness } = attempt;
  for (let steps = 0; reader.left > 0 && steps < 60; steps++) {
    const kind = stepKinds[reader.u8() % stepKinds.length]!;
    attempt.step(kind, kind === 'next' ? new Uint8Array() : take());
    const isOpen = stand.of('opened').length > 1;
    assert.ok(!isOpen || attempt.isFinished, 'nobody comes in without Finished');
  }
  const words = stand.effects.slice(2).map((effect) => ('reason' in effect ? `${effect.kind}-${effect.reason}` : effect.kind));
  stand.fetch();
  stand.deliver(witness.seal(Buffer.from('witness')), witnessAddress);
  assert.equal(Buffer.from(stand.last('data').bytes).toString(), 'witness', 'a session that is open is not disturbed');
  stand.pass(70_000);
  assert.equal(stand.endpoint.counters.handshakesPending, 0, 'handshakes come to an end');
  for (const datagram of stand.fetch()) assert.ok(datagram.length <= 1152, 'datagrams keep to the MTU');
  return [...words, client.state];
}

const next = Buffer.of(0);
const step = (kind: (typeof stepKinds)[number], bytes: Uint8Array): Buffer =>
  Buffer.concat([Buffer.of(stepKinds.indexOf(kind)), vector(2, bytes)]);
const helloRest = (way: number): Uint8Array => {
  const stand = new DtlsStand();
  return stand
    .client({ ...ways[way], serverName: 'a.example', maxFragmentCode: 2, rawKeys: true })
    .helloBody(new Uint8Array(16))
    .subarray(52);
};

export const target: Target = {
  name: 'dtls-handshake',
  properties: [
    'nothing that a client with a good cookie sends makes the server throw',
    'a session opens only with the right messages in the right order',
    'a session that is open is not disturbed, and handshakes come to an end',
  ],
  covers: /\/src\/net\/dtls\/(?!testing)/,
  maxBytes: 2048,
  slowMs: 300,
  seeds: [
    ...[0, 1, 2, 3].map((way) => Buffer.concat([Buffer.of(way), next, next, next, next, step('sealed', Buffer.from('\u0003data'))])),
    ...[0, 1, 2, 3].map((way) => Buffer.concat([Buffer.of(way | 8), vector(2, helloRest(way)), step('wait', Buffer.of(12))])),
    Buffer.concat([Buffer.of(6), next, next, next, next, step('answer', Buffer.of(0)), step('wait', Buffer.of(10))]),
    Buffer.concat([
      Buffer.of(2),
      step('fragment', Buffer.concat([Buffer.of(1, 0, 0), Buffer.alloc(80)])),
      step('record', Buffer.of(1, 2, 40)),
    ]),
    Buffer.concat([Buffer.of(0), next, next, step('sealed', Buffer.concat([Buffer.of(2), fragmentOf(1, 0, Buffer.alloc(50))]))]),
  ],
  dictionary: [0, 10, 11, 13, 19, 20, 23, 54, 0xff01].map((type) => Buffer.concat([u16(type), u16(4)])),
  run,
};
