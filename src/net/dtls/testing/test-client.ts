// A client of DTLS 1.2 for tests, without I/O like the server. By itself it does what a client should; with `isManual` a test composes the
// messages after ServerHelloDone, right or wrong. It checks what the server proves.

import { createHash, createPublicKey, createSecretKey, sign, X509Certificate, type KeyObject } from 'node:crypto';
import assert from 'node:assert/strict';
import type { Random } from '../../../base/random.ts';
import { alertBody } from '../alert.ts';
import { ByteReader, u16, u8, vector } from '../bytes.ts';
import { newEphemeralKey, type EphemeralKey } from '../ephemeral-key.ts';
import { Flight, type FlightMessage, type PlainSequence } from '../flight.ts';
import { fragmentOf, fragmentsIn, messageTypes } from '../handshake-message.ts';
import { certificateTypes, extensionTypes } from '../hello.ts';
import { finishedData, masterSecret, pskPremaster, sha256 } from '../prf.ts';
import { deriveKeys, Opener, Sealer } from '../protection.ts';
import { Reassembly, type WholeMessage } from '../reassembly.ts';
import { contentTypes, dtls12, plainRecord, RecordCursor } from '../record.ts';
import { ReplayWindow } from '../replay-window.ts';
import { isSignedBy } from '../signature-schemes.ts';
import { groups, suites, type GroupName, type Suite, type SuiteName } from '../suites.ts';

export type TestClientOptions = {
  readonly random: Random;
  readonly suites?: readonly SuiteName[];
  readonly groups?: readonly GroupName[];
  readonly signatureAlgorithms?: readonly number[];
  readonly psk?: { readonly identity: string; readonly key: Uint8Array };
  /** DER; a raw key has no chain. */
  readonly proof?: { readonly chain: readonly Uint8Array[]; readonly key: KeyObject };
  /** Asks for, and shows, raw public keys. */
  readonly rawKeys?: boolean;
  readonly cid?: Uint8Array;
  readonly hasExtendedMasterSecret?: boolean;
  readonly resume?: ResumableSession;
  readonly serverName?: string;
  readonly maxFragmentCode?: number;
  readonly mtu?: number;
  readonly isManual?: boolean;
  /** More bytes in the hello, as an extension that nobody knows. */
  readonly padding?: number;
  readonly version?: number;
};

export type ResumableSession = { readonly id: Uint8Array; readonly master: KeyObject };
export type ClientState = 'new' | 'hello' | 'flight' | 'finished' | 'open' | 'closed';

const retransmitMs = 1000;
const lastRetransmitMs = 8000;

export class TestClient {
  readonly options: TestClientOptions;
  readonly clientRandom: Uint8Array;
  /** Datagrams to the server, in their order. */
  readonly out: Buffer[] = [];
  readonly data: Buffer[] = [];
  readonly alerts: { readonly code: number; readonly isFatal: boolean; readonly isProtected: boolean }[] = [];
  /** Messages of the server in clear, by type. */
  readonly messages = new Map<number, Uint8Array>();
  readonly transcript: Uint8Array[] = [];
  readonly plain: PlainSequence = { next: 0 };
  state: ClientState = 'new';
  isResumed = false;
  suite: Suite | undefined;
  group: GroupName | undefined;
  /** What the server wants in our records; undefined: none was agreed on. */
  serverCid: Uint8Array | undefined;
  sealer: Sealer | undefined;
  nextSequence = 0;
  session: ResumableSession | undefined;
  deadline = Infinity;
  #cookie: Uint8Array = new Uint8Array();
  #serverRandom: Uint8Array = new Uint8Array();
  #hasEms = false;
  #reassembly = new Reassembly(0, { messageBytes: 65_536, handshakeBytes: 131_072 });
  #opener: Opener | undefined;
  readonly #window = new ReplayWindow();
  readonly #cursor: RecordCursor;
  #ephemeral: EphemeralKey | undefined;
  #shared: Buffer | undefined;
  #master: KeyObject | undefined;
  #flight: Flight | undefined;
  #backOffMs = retransmitMs;
  #now = 0;

  constructor(options: TestClientOptions) {
    this.options = options;
    this.clientRandom = options.random.bytes(32);
    this.#cursor = new RecordCursor(options.cid?.length ?? 0);
  }

  get isOpen(): boolean {
    return this.state === 'open';
  }

  takeOut(): Buffer[] {
    return this.out.splice(0);
  }

  start(now: number): void {
    this.state = 'hello';
    this.#sendHello(now);
  }

  #sendHello(now: number): void {
    this.transcript.length = 0;
    const message = { type: messageTypes.clientHello, sequence: this.nextSequence++, body: this.helloBody(this.#cookie) };
    this.record(message);
    this.send(new Flight([message]), now);
  }

  helloBody(cookie: Uint8Array): Uint8Array {
    const { options } = this;
    const codes = (options.suites ?? suites.map(({ name }) => name)).map((name) => u16(suites.find((suite) => suite.name === name)!.code));
    const list: Uint8Array[] = [];
    const add = (type: number, body: Uint8Array): void => void list.push(u16(type), vector(2, body));
    const codesOfGroups = (options.groups ?? (['secp256r1', 'x25519', 'secp384r1'] as const)).map((name) => u16(groups[name]));
    add(extensionTypes.supportedGroups, vector(2, ...codesOfGroups));
    add(extensionTypes.pointFormats, vector(1, u8(0)));
    add(extensionTypes.signatureAlgorithms, vector(2, ...(options.signatureAlgorithms ?? [0x0403, 0x0503, 0x0807, 0x0401]).map(u16)));
    if (options.hasExtendedMasterSecret !== false) add(extensionTypes.extendedMasterSecret, new Uint8Array());
    add(extensionTypes.renegotiationInfo, u8(0));
    if (options.cid !== undefined) add(extensionTypes.connectionId, vector(1, options.cid));
    if (options.rawKeys === true) {
      add(extensionTypes.clientCertificateType, vector(1, u8(certificateTypes.rawPublicKey)));
      add(extensionTypes.serverCertificateType, vector(1, u8(certificateTypes.rawPublicKey), u8(certificateTypes.x509)));
    }
    if (options.serverName !== undefined) {
      add(extensionTypes.serverName, vector(2, u8(0), vector(2, Buffer.from(options.serverName))));
    }
    if (options.maxFragmentCode !== undefined) add(extensionTypes.maxFragmentLength, u8(options.maxFragmentCode));
    if (options.padding !== undefined) add(21, new Uint8Array(options.padding));
    const head = [u16(options.version ?? dtls12), this.clientRandom, vector(1, options.resume?.id ?? new Uint8Array()), vector(1, cookie)];
    return Buffer.concat([...head, vector(2, ...codes), vector(1, u8(0)), vector(2, ...list)]);
  }

  send(flight: Flight, now: number): void {
    this.#flight = flight;
    this.out.push(...flight.datagrams(this.plain, this.options.mtu ?? 1200));
    this.deadline = now + this.#backOffMs;
    this.#backOffMs = Math.min(2 * this.#backOffMs, lastRetransmitMs);
  }

  tick(now: number): void {
    if (now < this.deadline || this.#flight === undefined) return;
    this.send(this.#flight, now);
  }

  sendFlightAgain(now: number): void {
    this.send(this.#flight!, now);
  }

  record({ type, sequence, body }: FlightMessage): void {
    this.transcript.push(fragmentOf(type, sequence, body));
  }

  receive(datagram: Buffer, now: number): void {
    this.#now = now;
    for (let at = 0; at < datagram.length; at = this.#cursor.end) {
      assert.ok(this.#cursor.read(datagram, at), 'the server sends whole records');
      this.#receiveRecord(datagram);
    }
  }

  #receiveRecord(datagram: Buffer): void {
    const record = this.#cursor;
    if (record.epoch === 0) {
      this.#takeContent(record.type, datagram.subarray(record.start, record.end), false);
      return;
    }
    if (this.#opener === undefined || !this.#window.isFresh(record.sequence)) return;
    const hasCid = record.type === contentTypes.tls12Cid;
    assert.equal(hasCid, this.serverCid !== undefined && (this.options.cid?.length ?? 0) > 0, 'the Connection ID stands where it must');
    const opened = this.#opener.open(datagram, record);
    if (opened === undefined) return;
    this.#window.accept(record.sequence);
    this.#takeContent(opened.type, opened.content, true);
  }

  #takeContent(type: number, content: Buffer, isProtected: boolean): void {
    if (type === contentTypes.alert) {
      this.alerts.push({ code: content[1]!, isFatal: content[0] === 2, isProtected });
      if (content[0] === 2 || content[1] === 0) this.state = 'closed';
      if (this.state === 'closed') this.deadline = Infinity;
    } else if (type === contentTypes.applicationData) {
      assert.ok(isProtected);
      this.data.push(Buffer.from(content));
    } else if (type === contentTypes.handshake) {
      for (const fragment of fragmentsIn(content) ?? assert.fail('the server sends whole fragments')) {
        if (isProtected && fragment.type === messageTypes.finished) this.#takeFinished(fragment);
        else if (fragment.type === messageTypes.helloVerifyRequest) this.#takeCookie(fragment.bytes);
        else {
          this.#reassembly.add(fragment);
          this.#drain();
        }
      }
    }
  }

  #takeCookie(body: Uint8Array): void {
    if (this.state !== 'hello' || this.#cookie.length > 0) return;
    this.#cookie = body.slice(3);
    this.#reassembly = new Reassembly(1, { messageBytes: 65_536, handshakeBytes: 131_072 });
    this.#backOffMs = retransmitMs;
    this.#sendHello(this.#now);
  }

  #drain(): void {
    if (this.state !== 'hello' || this.#cookie.length === 0) return;
    for (let message = this.#reassembly.take(); message !== undefined; message = this.#reassembly.take()) this.#takeMessage(message);
  }

  #takeMessage(message: WholeMessage): void {
    const { type, body } = message;
    this.record(message);
    this.messages.set(type, body);
    if (type === messageTypes.serverHello) this.#takeServerHello(body);
    else if (type === messageTypes.serverKeyExchange) this.#takeKeyExchange(body);
    else if (type === messageTypes.serverHelloDone) {
      this.state = 'flight';
      this.deadline = Infinity;
      this.#backOffMs = retransmitMs;
      if (this.options.isManual !== true) this.sendFlight(this.#now);
    }
  }

  #takeServerHello(body: Uint8Array): void {
    const reader = new ByteReader(body);
    assert.equal(reader.u16(), dtls12);
    this.#serverRandom = reader.take(32);
    const id = reader.vector(1);
    const code = reader.u16();
    assert.equal(reader.u8(), 0);
    this.suite = suites.find((suite) => suite.code === code)!;
    const extensions = new Map<number, Uint8Array>();
    if (reader.left > 0) {
      const list = new ByteReader(reader.vector(2));
      while (list.left > 0) extensions.set(list.u16(), list.vector(2));
    }
    reader.end();
    this.#hasEms = extensions.has(extensionTypes.extendedMasterSecret);
    this.serverCid = extensions.get(extensionTypes.connectionId)?.slice(1);
    const { resume } = this.options;
    this.isResumed = resume !== undefined && Buffer.compare(resume.id, id) === 0;
    this.#master = this.isResumed ? resume!.master : undefined;
    this.session = id.length > 0 ? { id, master: this.#master! } : undefined;
    if (this.isResumed) {
      this.deriveKeys();
      this.state = 'finished';
    }
  }

  #takeKeyExchange(body: Uint8Array): void {
    const { exchange } = this.suite!;
    const reader = new ByteReader(body);
    if (exchange.endsWith('psk')) reader.vector(2);
    if (exchange === 'psk') return;
    const start = body.length - reader.left;
    assert.equal(reader.u8(), 3);
    const code = reader.u16();
    this.group = (Object.keys(groups) as GroupName[]).find((name) => groups[name] === code)!;
    const point = reader.vector(1);
    const parameters = body.subarray(start, body.length - reader.left);
    if (exchange !== 'ecdhe-psk') {
      const scheme = reader.u16();
      const signed = Buffer.concat([this.clientRandom, this.#serverRandom, parameters]);
      assert.ok(isSignedBy(this.#serverKey(), scheme, signed, reader.vector(2)), 'the server has its key');
    }
    reader.end();
    this.#ephemeral = newEphemeralKey(this.group);
    this.#shared = this.#ephemeral.sharedWith(point);
  }

  #serverKey(): KeyObject {
    const list = new ByteReader(this.messages.get(messageTypes.certificate)!).vector(3);
    if (this.options.rawKeys === true) return createPublicKey({ key: Buffer.from(list), format: 'der', type: 'spki' });
    return new X509Certificate(new ByteReader(list).vector(3)).publicKey;
  }

  // The messages of the second flight. Each goes into the transcript when it is made.

  message(type: number, body: Uint8Array): FlightMessage {
    const message = { type, sequence: this.nextSequence++, body };
    this.record(message);
    return message;
  }

  certificate(): FlightMessage {
    const { proof, rawKeys } = this.options;
    const spki = proof && rawKeys === true ? createPublicKey(proof.key).export({ type: 'spki', format: 'der' }) : undefined;
    const chain = (proof?.chain ?? []).map((der) => vector(3, der));
    return this.message(messageTypes.certificate, spki === undefined ? vector(3, ...chain) : vector(3, spki));
  }

  keyExchange(): FlightMessage {
    const { psk } = this.options;
    const identity = this.suite!.exchange.endsWith('psk') ? [vector(2, Buffer.from(psk!.identity))] : [];
    const point = this.#ephemeral === undefined ? [] : [vector(1, this.#ephemeral.publicBytes)];
    const message = this.message(messageTypes.clientKeyExchange, Buffer.concat([...identity, ...point]));
    const isPsk = this.suite!.exchange.endsWith('psk');
    const premaster = isPsk ? pskPremaster(createSecretKey(psk!.key), this.#shared) : Buffer.from(this.#shared!);
    const sessionHash = this.#hasEms ? sha256(this.transcript) : undefined;
    this.#master = masterSecret(premaster, sessionHash, [this.clientRandom, this.#serverRandom]);
    if (this.session !== undefined) this.session = { id: this.session.id, master: this.#master };
    this.deriveKeys();
    return message;
  }

  certificateVerify(key = this.options.proof!.key): FlightMessage {
    const algorithm = { ec: 0x0403, rsa: 0x0401, ed25519: 0x0807 }[key.asymmetricKeyType as 'ec' | 'rsa' | 'ed25519'];
    const signature = sign(algorithm === 0x0807 ? null : 'sha256', Buffer.concat(this.transcript), key);
    return this.message(messageTypes.certificateVerify, Buffer.concat([u16(algorithm), vector(2, signature)]));
  }

  finished(): FlightMessage {
    return this.message(messageTypes.finished, finishedData(this.#master!, 'client', this.transcript));
  }

  deriveKeys(): void {
    const { client, server } = deriveKeys(this.#master!, this.clientRandom, this.#serverRandom);
    this.#opener = new Opener(this.suite!, server);
    this.sealer = new Sealer(this.suite!, client, this.serverCid ?? new Uint8Array());
  }

  get wantsCertificate(): boolean {
    return this.messages.has(messageTypes.certificateRequest);
  }

  sendFlight(now: number): void {
    const messages: FlightMessage[] = [];
    if (this.wantsCertificate) messages.push(this.certificate());
    messages.push(this.keyExchange());
    if (this.wantsCertificate && this.options.proof !== undefined) messages.push(this.certificateVerify());
    this.state = 'finished';
    this.send(new Flight(messages, { message: this.finished(), sealer: this.sealer! }), now);
  }

  #takeFinished(fragment: { readonly bytes: Uint8Array; readonly sequence: number }): void {
    if (this.state === 'open' && this.isResumed && this.#flight !== undefined) {
      // The server has not got ours.
      this.send(this.#flight, this.#now);
      this.deadline = Infinity;
      return;
    }
    if (this.state !== 'finished') return;
    assert.deepEqual(
      new Uint8Array(fragment.bytes),
      finishedData(this.#master!, 'server', this.transcript),
      'the server’s Finished is right',
    );
    this.state = 'open';
    if (this.isResumed) {
      this.record({ type: messageTypes.finished, sequence: fragment.sequence, body: fragment.bytes });
      this.send(new Flight([], { message: this.finished(), sealer: this.sealer! }), this.#now);
    }
    this.deadline = Infinity;
  }

  /** A record of one’s own making, in clear. */
  clear(type: number, body: Uint8Array): Buffer {
    return plainRecord(type, dtls12, this.plain.next++, body);
  }

  /** One message in clear. */
  clearMessage({ type, sequence, body }: FlightMessage): Buffer {
    return this.clear(contentTypes.handshake, fragmentOf(type, sequence, body));
  }

  seal(data: Uint8Array): Buffer {
    return this.sealer!.seal(contentTypes.applicationData, data);
  }

  sealMessage({ type, sequence, body }: FlightMessage): Buffer {
    return this.sealer!.seal(contentTypes.handshake, fragmentOf(type, sequence, body));
  }

  goodbye(): Buffer {
    return this.sealer!.seal(contentTypes.alert, alertBody('close-notify', 'warning'));
  }

  /** To compare what both have agreed on. */
  get masterDigest(): string {
    return createHash('sha256').update(this.#master!.export()).digest('hex');
  }
}
