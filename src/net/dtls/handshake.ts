// One handshake of the server, from the first hello with a good cookie on (RFC 6347 §4.2, RFC 5246 §7.3). Its states and what each takes are the
// table `rules`. It becomes a session only at a verified Finished; until then nothing of an older session of the same peer is touched.

import { createSecretKey, timingSafeEqual, type KeyObject } from 'node:crypto';
import { alertBody, alertLevels, fail, HandshakeEnd, isDistrust, type AlertName } from './alert.ts';
import { ByteReader } from './bytes.ts';
import { checkCertificateVerify, readShownKey, type ShownKey } from './client-proof.ts';
import type { Timed } from './deadlines.ts';
import type { Admission, DtlsEffect, DtlsIdentity, HandshakeFailureReason, HandshakeId, PeerAddress, PskAnswer } from './endpoint.ts';
import { newEphemeralKey, type EphemeralKey } from './ephemeral-key.ts';
import { Flight, type FlightMessage, type PlainSequence } from './flight.ts';
import { fragmentOf, fragmentsIn, messageHeaderBytes, messageTypes, type Fragment } from './handshake-message.ts';
import type { HandshakeParts, HandshakeState, Outcome } from './handshake-state.ts';
import { readClientHello, writeServerHello, type ClientHello } from './hello.ts';
import { agree, checkHello, type Agreed } from './negotiation.ts';
import { finishedData, masterSecret, pskPremaster, sha256 } from './prf.ts';
import { deriveKeys, Opener, Sealer } from './protection.ts';
import { Reassembly, type WholeMessage } from './reassembly.ts';
import { cidOnWire, contentTypes, dtls12, maxPlaintext, plainRecord, recordHeaderBytes, type RecordCursor } from './record.ts';
import { ReplayWindow } from './replay-window.ts';
import { Retransmission } from './retransmission.ts';
import type { Resumable } from './resumption-cache.ts';
import { serverExtensions, serverMessages } from './server-flight.ts';
import type { Suite } from './suites.ts';

type Take = (handshake: Handshake, message: WholeMessage, now: number, out: DtlsEffect[]) => void;

/** Records of epoch 1 that came before the keys, or before what must be checked first. */
const maxHeldRecords = 8;
const maxIdentityBytes = 512;
/** So much each may keep, however much the others do: more than devices need. */
const smallHandshakeBytes = 8192;
const identityNone: DtlsIdentity = { kind: 'none' };

export class Handshake implements Timed {
  /** What is taken in which state, in clear; what stands nowhere ends the handshake. Finished comes only protected. */
  static readonly #rules: Readonly<Record<HandshakeState, ReadonlyMap<number, Take>>> = {
    hello: new Map([[messageTypes.clientHello, (handshake, message, now, out) => handshake.#takeHello(message, now, out)]]),
    certificate: new Map([[messageTypes.certificate, (handshake, message) => handshake.#takeCertificate(message)]]),
    'key-exchange': new Map([
      [messageTypes.clientKeyExchange, (handshake, message, _now, out) => handshake.#takeKeyExchange(message, out)],
    ]),
    'psk-answer': new Map(),
    'certificate-verify': new Map([
      [messageTypes.certificateVerify, (handshake, message, _now, out) => handshake.#takeVerify(message, out)],
    ]),
    admission: new Map(),
    finished: new Map(),
    open: new Map(),
    failed: new Map(),
  };

  deadline = Infinity;
  heapIndex = -1;
  readonly id: HandshakeId;
  readonly peer: PeerAddress;
  readonly peerKey: string;
  readonly clientRandom: Uint8Array;
  /** Ours; undefined: none was agreed on. */
  cid: number | undefined;
  /** Bytes it keeps, as `count` found them. */
  counted = 0;
  readonly #parts: HandshakeParts;
  readonly #expiresAt: number;
  readonly #reassembly: Reassembly;
  readonly #transcript: Uint8Array[] = [];
  readonly #plain: PlainSequence;
  readonly #retransmission: Retransmission;
  readonly #held: Buffer[] = [];
  readonly #window = new ReplayWindow();
  #state: HandshakeState = 'hello';
  #kept = 0;
  #messageSequence: number;
  #hello: ClientHello | undefined;
  #serverRandom: Uint8Array = new Uint8Array();
  #agreed: Agreed | undefined;
  #ephemeral: EphemeralKey | undefined;
  #shown: ShownKey | undefined;
  #pskIdentity: Uint8Array | undefined;
  #pskShare: Uint8Array | undefined;
  #isPskUnknown = false;
  #hasBadRecord = false;
  #identity: DtlsIdentity = identityNone;
  #validForMs = Infinity;
  #master: KeyObject | undefined;
  #resumed: Resumable | undefined;
  #sessionId: Uint8Array = new Uint8Array();
  #opener: Opener | undefined;
  #sealer: Sealer | undefined;

  /** `first`: a fragment of the hello whose cookie is good. `recordSequence`: of the record it came in. */
  constructor(
    id: HandshakeId,
    peer: { readonly address: PeerAddress; readonly key: string; readonly random: Uint8Array },
    first: { readonly sequence: number; readonly recordSequence: number },
    parts: HandshakeParts,
    now: number,
  ) {
    const { limits } = parts.settings;
    this.id = id;
    this.peer = peer.address;
    this.peerKey = peer.key;
    this.clientRandom = new Uint8Array(peer.random);
    this.#parts = parts;
    this.#expiresAt = now + limits.handshakeMs;
    this.#messageSequence = first.sequence;
    // RFC 6347 §4.2.1: ServerHello goes in a record with the number of the hello's.
    this.#plain = { next: first.recordSequence };
    this.#reassembly = new Reassembly(first.sequence, limits);
    this.#retransmission = new Retransmission(peer.address, this.#plain, limits, parts.counters);
  }

  get state(): HandshakeState {
    return this.#state;
  }

  /** When `onDeadline` is to be called. */
  get nextDeadline(): number {
    return this.#isWaitingForUs ? this.#expiresAt : Math.min(this.#expiresAt, this.#retransmission.dueAt);
  }

  /** By how much it has grown since the last call. */
  count(): number {
    const before = this.counted;
    this.counted = this.#kept + this.#reassembly.held;
    return this.counted - before;
  }

  #isTooMuch(more: number): boolean {
    const { counters, settings } = this.#parts;
    const { handshakeBytes, allHandshakeBytes } = settings.limits;
    const bytes = this.#kept + this.#reassembly.held + more;
    return bytes > handshakeBytes || (bytes > smallHandshakeBytes && counters.handshakeBytes + more > allHandshakeBytes);
  }

  get #isWaitingForUs(): boolean {
    return this.#state === 'psk-answer' || this.#state === 'admission';
  }

  /** The body of a record of epoch 0. */
  receive(type: number, body: Buffer, now: number, out: DtlsEffect[]): void {
    if (type === contentTypes.handshake) {
      const fragments = fragmentsIn(body);
      if (fragments === undefined) this.#parts.counters.dropped.malformed++;
      else for (const fragment of fragments) this.#addFragment(fragment, now, out);
    } else if (type === contentTypes.alert) this.#takeAlert(body, out);
    else if (type !== contentTypes.changeCipherSpec) this.#parts.counters.dropped.unexpected++;
    // ChangeCipherSpec says nothing that the epoch of the next record does not say.
  }

  #addFragment(fragment: Fragment, now: number, out: DtlsEffect[]): void {
    const { counters } = this.#parts;
    if (this.#state === 'open' || this.#state === 'failed') return;
    if (fragment.sequence < this.#reassembly.due) {
      if (fragment.type === messageTypes.clientHello && fragment.offset === 0) this.#retransmission.repeat(now, out);
      return;
    }
    // Whoever sends on in clear where Finished is due may be somebody else: the peer can only be disturbed by records that open.
    if (this.#state === 'finished') counters.dropped.unexpected++;
    else if (this.#isTooMuch(fragment.bytes.length) || !this.#reassembly.add(fragment)) counters.dropped['bad-fragment']++;
    else this.#guarded(out, () => this.#drain(now, out));
  }

  #drain(now: number, out: DtlsEffect[]): void {
    while (!this.#isWaitingForUs && this.#state !== 'finished') {
      const message = this.#reassembly.take();
      if (message === undefined) return;
      const take = Handshake.#rules[this.#state].get(message.type);
      if (take === undefined) fail('unexpected-message', 'protocol');
      this.#record(message);
      take(this, message, now, out);
    }
  }

  /** Into the transcript, as if it had come in one piece (RFC 6347 §4.2.6). */
  #record({ type, sequence, body }: FlightMessage): void {
    const header = fragmentOf(type, sequence, body, 0, 0);
    header.writeUIntBE(body.length, 9, 3);
    this.#transcript.push(header, body);
    this.#kept += messageHeaderBytes + body.length;
  }

  #takeHello({ body }: WholeMessage, now: number, out: DtlsEffect[]): void {
    const { settings, random, resumptions } = this.#parts;
    const hello = readClientHello(body);
    this.#hello = hello;
    checkHello(hello, settings);
    if (hello.maxFragment !== undefined) this.#retransmission.limitRecords(hello.maxFragment + recordHeaderBytes);
    this.#serverRandom = random.bytes(32);
    if (settings.connectionIds && hello.connectionId !== undefined) this.cid = this.#parts.newCid();
    const entry = hello.sessionId.length > 0 ? resumptions.find(keyOf(hello.sessionId), now) : undefined;
    const flight = entry !== undefined && this.#mayResume(entry, hello) ? this.#resume(entry, hello) : this.#answer(hello);
    this.#retransmission.send(flight, now, out);
  }

  #mayResume({ suite, serverName, identity, hasExtendedMasterSecret }: Resumable, hello: ClientHello): boolean {
    const { settings } = this.#parts;
    // RFC 7627 §5.3: with it then and without it now is an attack.
    if (hasExtendedMasterSecret && !hello.hasExtendedMasterSecret) fail('handshake-failure', 'parameters');
    // Without it on both sides a session could be one that somebody in the middle has made twice: a full handshake instead.
    if (!settings.resumption || !hasExtendedMasterSecret) return false;
    if (!settings.suites.includes(suite) || !hello.suites.includes(suite.code)) return false;
    if (identity.kind === 'none' && settings.clientCertificate === 'require') return false;
    // RFC 6066 §3.
    return serverName === hello.serverName;
  }

  #resume(entry: Resumable, hello: ClientHello): Flight {
    this.#resumed = entry;
    this.#identity = entry.identity;
    this.#master = entry.master;
    this.#sessionId = new Uint8Array(hello.sessionId);
    const serverHello = this.#serverHello(hello, entry.suite, undefined);
    this.#deriveKeys(entry.suite);
    const body = finishedData(entry.master, 'server', this.#transcript);
    const finished = { type: messageTypes.finished, sequence: this.#messageSequence++, body };
    this.#record(finished);
    this.#state = 'finished';
    return new Flight([serverHello], { message: finished, sealer: this.#sealer! });
  }

  #answer(hello: ClientHello): Flight {
    const { settings, random } = this.#parts;
    const agreed = agree(hello, settings);
    this.#agreed = agreed;
    if (agreed.group !== undefined) this.#ephemeral = newEphemeralKey(agreed.group.name);
    if (settings.resumption) this.#sessionId = random.bytes(32);
    const messages = [this.#serverHello(hello, agreed.suite, agreed)];
    for (const body of serverMessages(agreed, this.#ephemeral, [hello.random, this.#serverRandom], settings)) {
      const message = { ...body, sequence: this.#messageSequence++ };
      this.#record(message);
      messages.push(message);
    }
    this.#state = agreed.clientForm === undefined ? 'key-exchange' : 'certificate';
    return new Flight(messages);
  }

  #serverHello(hello: ClientHello, suite: Suite, agreed: Agreed | undefined): FlightMessage {
    const extensions = serverExtensions(hello, agreed, this.cid === undefined ? undefined : cidOnWire(this.cid));
    const body = writeServerHello({ random: this.#serverRandom, sessionId: this.#sessionId, suite: suite.code, extensions });
    const message = { type: messageTypes.serverHello, sequence: this.#messageSequence++, body };
    this.#record(message);
    return message;
  }

  #takeCertificate({ body }: WholeMessage): void {
    const { settings } = this.#parts;
    this.#shown = readShownKey(body, this.#agreed!.clientForm!, settings.limits.chainLength);
    if (this.#shown === undefined && settings.clientCertificate === 'require') fail('handshake-failure', 'certificate');
    this.#state = 'key-exchange';
  }

  #takeKeyExchange({ body }: WholeMessage, out: DtlsEffect[]): void {
    const { exchange } = this.#agreed!.suite;
    const reader = new ByteReader(body);
    const identity = exchange === 'psk' || exchange === 'ecdhe-psk' ? new Uint8Array(reader.vector(2)) : undefined;
    const point = exchange === 'psk' ? undefined : reader.vector(1, 1);
    reader.end();
    const shared = point && this.#ephemeral!.sharedWith(point);
    this.#ephemeral = undefined;
    if (identity === undefined) {
      this.#agreeOnKeys(shared!);
      this.#state = this.#shown === undefined ? 'finished' : 'certificate-verify';
      return;
    }
    if (identity.length > maxIdentityBytes) fail('unknown-psk-identity', 'psk');
    this.#pskIdentity = identity;
    this.#pskShare = shared;
    this.#state = 'psk-answer';
    out.push({ kind: 'pskWanted', handshake: this.id, identity, peer: this.peer });
  }

  pskAnswer(answer: PskAnswer | undefined, now: number, out: DtlsEffect[]): void {
    if (this.#state !== 'psk-answer') return;
    this.#guarded(out, () => {
      const { settings, random } = this.#parts;
      this.#isPskUnknown = answer === undefined;
      if (answer === undefined && settings.psk?.hideUnknown !== true) fail('unknown-psk-identity', 'psk');
      this.#agreeOnKeys(pskPremaster(answer?.key ?? createSecretKey(random.bytes(16)), this.#pskShare));
      this.#pskShare?.fill(0);
      this.#pskShare = undefined;
      this.#identity = { kind: 'psk', identity: this.#pskIdentity!, subject: answer?.subject };
      this.#validForMs = answer?.validForMs ?? Infinity;
      this.#state = 'finished';
      this.#drain(now, out);
    });
  }

  #agreeOnKeys(premaster: Buffer): void {
    const hello = this.#hello!;
    const sessionHash = hello.hasExtendedMasterSecret ? sha256(this.#transcript) : undefined;
    this.#master = masterSecret(premaster, sessionHash, [hello.random, this.#serverRandom]);
    this.#deriveKeys(this.#agreed!.suite);
  }

  #deriveKeys(suite: Suite): void {
    const hello = this.#hello!;
    const { client, server } = deriveKeys(this.#master!, hello.random, this.#serverRandom);
    const theirCid = this.cid === undefined ? undefined : hello.connectionId;
    this.#opener = new Opener(suite, client);
    this.#sealer = new Sealer(suite, server, theirCid ?? new Uint8Array());
  }

  #takeVerify({ body }: WholeMessage, out: DtlsEffect[]): void {
    const shown = this.#shown!;
    // All before this message: it is the last of the transcript, as header and body.
    checkCertificateVerify(body, shown, this.#transcript.slice(0, -2));
    this.#state = 'admission';
    const { id: handshake, peer } = this;
    const { fingerprint, chain } = shown;
    if (shown.form === 'x509') out.push({ kind: 'certificateWanted', handshake, chain, peer });
    else out.push({ kind: 'rawKeyWanted', handshake, spki: chain[0]!, fingerprint, peer });
  }

  admissionAnswer(admission: Admission, now: number, out: DtlsEffect[]): void {
    if (this.#state !== 'admission') return;
    this.#guarded(out, () => {
      if (!admission.ok) return fail(admission.alert, 'certificate');
      const { form, fingerprint } = this.#shown!;
      this.#identity = { kind: form === 'x509' ? 'certificate' : 'rawKey', fingerprint, subject: admission.subject };
      this.#validForMs = admission.validForMs ?? Infinity;
      this.#shown = undefined;
      this.#state = 'finished';
      return this.#drain(now, out);
    });
  }

  /** Keeps a record of epoch 1 for later: it came before what must come first. */
  hold(record: Buffer): void {
    if (this.#held.length >= maxHeldRecords || this.#isTooMuch(record.length) || this.#state === 'hello') {
      this.#parts.counters.dropped.unexpected++;
      return;
    }
    this.#kept += record.length;
    this.#held.push(Buffer.from(record));
  }

  /** The records that can be tried now, each once. */
  takeHeld(): Buffer[] {
    return this.#held.splice(0);
  }

  /** A record of epoch 1 in state `finished`. False: it does not open. */
  receiveProtected(datagram: Buffer, record: RecordCursor, now: number, out: DtlsEffect[]): boolean {
    const { counters } = this.#parts;
    if (!this.#window.isFresh(record.sequence)) {
      counters.dropped.replayed++;
      return true;
    }
    const opened = this.#opener!.open(datagram, record);
    if (opened === undefined) return false;
    if (opened.type === contentTypes.applicationData) {
      // It overtook Finished, in a session that is resumed: it is opened again when that has come.
      this.hold(datagram.subarray(record.head, record.end));
      return true;
    }
    this.#window.accept(record.sequence);
    counters.recordsIn++;
    if (opened.type === contentTypes.handshake) this.#guarded(out, () => this.#takeFinished(opened.content, now, out));
    else if (opened.type === contentTypes.alert) this.#takeAlert(opened.content, out);
    else counters.dropped.unexpected++;
    return true;
  }

  /** Nobody at its address could open a record: its client may have another key. */
  sawBadRecord(): void {
    this.#hasBadRecord = true;
  }

  /** RFC 5246 §7.4.9. It is small and comes in one record. */
  #takeFinished(content: Buffer, now: number, out: DtlsEffect[]): void {
    const [message, ...others] = fragmentsIn(content) ?? fail('decode-error', 'protocol');
    if (message === undefined || others.length > 0 || message.type !== messageTypes.finished) return fail('unexpected-message', 'protocol');
    if (message.sequence !== this.#reassembly.due) fail('unexpected-message', 'protocol');
    const due = finishedData(this.#master!, 'client', this.#transcript);
    if (message.bytes.length !== due.length || !timingSafeEqual(message.bytes, due)) fail('decrypt-error', 'protocol');
    if (this.#resumed === undefined) {
      this.#record({ type: message.type, sequence: message.sequence, body: message.bytes });
      const body = finishedData(this.#master!, 'server', this.#transcript);
      const finished = { type: messageTypes.finished, sequence: this.#messageSequence++, body };
      this.#retransmission.send(new Flight([], { message: finished, sealer: this.#sealer! }), now, out);
      this.#keepForResumption(now);
    }
    this.#state = 'open';
  }

  #keepForResumption(now: number): void {
    const { settings, resumptions, counters } = this.#parts;
    if (this.#sessionId.length === 0) return;
    const { limits } = settings;
    resumptions.keep(
      keyOf(this.#sessionId),
      {
        master: this.#master!,
        suite: this.#agreed!.suite,
        hasExtendedMasterSecret: this.#hello!.hasExtendedMasterSecret,
        serverName: this.#hello!.serverName,
        identity: this.#identity,
        expiresAt: now + Math.min(limits.resumptionMs, this.#validForMs),
      },
      limits.resumptions,
    );
    counters.resumptionEntries = resumptions.size;
  }

  get outcome(): Outcome {
    return {
      suite: this.#resumed?.suite ?? this.#agreed!.suite,
      agreed: this.#agreed,
      identity: this.#identity,
      sealer: this.#sealer!,
      opener: this.#opener!,
      window: this.#window,
      lastFlight: this.#resumed === undefined ? this.#retransmission.flight : undefined,
      plain: this.#plain,
      maxBytes: this.#hello!.maxFragment ?? maxPlaintext,
      sessionKey: this.#sessionId.length === 0 ? undefined : keyOf(this.#sessionId),
    };
  }

  get isResumed(): boolean {
    return this.#resumed !== undefined;
  }

  onDeadline(now: number, out: DtlsEffect[]): void {
    if (now >= this.#expiresAt) {
      // A wrong key shows only as records that do not open.
      const hasWrongKey = this.#isPskUnknown || (this.#pskIdentity !== undefined && this.#hasBadRecord);
      this.#fail(hasWrongKey ? 'psk' : 'timeout', out);
    } else if (!this.#isWaitingForUs) this.#retransmission.onDeadline(now, out);
  }

  /** The peer's; in clear it may be anybody's, but a handshake has nothing to lose that its peer cannot begin again. */
  #takeAlert(body: Buffer, out: DtlsEffect[]): void {
    if (body.length !== 2 || this.#state === 'open' || this.#state === 'failed') return;
    const [level, code] = body as unknown as [number, number];
    if (level !== alertLevels.fatal && code !== 0) return;
    this.#fail(isDistrust(code) ? 'distrusted' : code === 40 || code === 70 || code === 71 ? 'parameters' : 'protocol', out);
  }

  #guarded(out: DtlsEffect[], step: () => void): void {
    try {
      step();
    } catch (error) {
      if (!(error instanceof HandshakeEnd)) throw error;
      this.#sendAlert(error.alert, out);
      this.#fail(error.reason, out);
    }
  }

  #sendAlert(alert: AlertName, out: DtlsEffect[]): void {
    const body = alertBody(alert, 'fatal');
    // A resumed handshake has changed its cipher already.
    const bytes =
      this.#resumed !== undefined && this.#sealer !== undefined
        ? this.#sealer.seal(contentTypes.alert, body)
        : plainRecord(contentTypes.alert, dtls12, this.#plain.next++, body);
    out.push({ kind: 'datagram', to: this.peer, bytes });
  }

  #fail(reason: HandshakeFailureReason, out: DtlsEffect[]): void {
    this.#state = 'failed';
    this.#parts.counters.failed[reason]++;
    out.push({ kind: 'failed', handshake: this.id, peer: this.peer, reason });
  }
}

function keyOf(sessionId: Uint8Array): string {
  return Buffer.from(sessionId).toString('latin1');
}
