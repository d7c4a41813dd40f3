// The DTLS 1.2 server: finds out whose each record is, and keeps handshakes and sessions apart. Before a client has returned a cookie
// nothing is kept of it, and it is answered with fewer bytes than it sent.

import type { Random } from '../../base/random.ts';
import { secureRandom } from '../../base/secure-random.ts';
import { alertBody, alertLevels } from './alert.ts';
import { ByteReader } from './bytes.ts';
import { CookieJar } from './cookie.ts';
import { DtlsCounters } from './counters.ts';
import { Deadlines } from './deadlines.ts';
import type {
  Admission,
  CloseReason,
  DtlsEffect,
  DtlsEndpoint,
  DtlsIdentity,
  DtlsSettings,
  HandshakeId,
  PeerAddress,
  PskAnswer,
  SessionId,
} from './endpoint.ts';
import { Handshake } from './handshake.ts';
import { HandshakeHosts } from './handshake-hosts.ts';
import type { HandshakeParts } from './handshake-state.ts';
import { fragmentOf, fragmentsIn, messageTypes, type Fragment } from './handshake-message.ts';
import { readHelloStart, writeHelloVerifyRequest, type HelloStart } from './hello.ts';
import { cidBytes, contentTypes, dtls10, maxPlaintext, plainRecord, RecordCursor } from './record.ts';
import { ResumptionCache } from './resumption-cache.ts';
import { isSameIdentity, Session } from './session.ts';
import { SessionGroups } from './session-groups.ts';
import { resolved, type ResolvedSettings } from './settings.ts';

/**
 * RFC 6347 §4.2.2: a client's messages are numbered from 0, and each hello counts. One that begins far up would have a handshake whose
 * own messages, which go on from there, have no numbers left.
 */
const maxHelloSequence = 255;

/** `random`: for tests; the system's when absent. */
export function createDtlsEndpoint(settings: DtlsSettings, random: Random = secureRandom): DtlsEndpoint {
  return new DtlsServer(settings, random);
}

class DtlsServer implements DtlsEndpoint {
  readonly counters = new DtlsCounters();
  readonly #random: Random;
  readonly #cookies: CookieJar;
  readonly #resumptions = new ResumptionCache();
  readonly #deadlines = new Deadlines<Handshake | Session>();
  readonly #cursor = new RecordCursor(cidBytes);
  /** Handshakes under way, by address and by id, and by host. */
  readonly #pending = new Map<string, Handshake>();
  readonly #handshakes = new Map<HandshakeId, Handshake>();
  readonly #hosts = new HandshakeHosts();
  /** Open sessions by id, by address (those with a Connection ID may have lost theirs to another), and all that have one by it. */
  readonly #sessions = new Map<SessionId, Session>();
  readonly #live = new Map<string, Session>();
  readonly #byCid = new Map<number, Handshake | Session>();
  readonly #groups = new SessionGroups();
  #settings: ResolvedSettings;
  #parts: HandshakeParts;
  #lastHandshake = 0;
  #lastSession = 0;

  constructor(settings: DtlsSettings, random: Random) {
    this.#random = random;
    this.#cookies = new CookieJar(random);
    this.#settings = resolved(settings);
    this.#parts = this.#partsOf(this.#settings);
  }

  reconfigure(settings: DtlsSettings): void {
    this.#settings = resolved(settings);
    this.#parts = this.#partsOf(this.#settings);
  }

  #partsOf(settings: ResolvedSettings): HandshakeParts {
    const newCid = (): number => {
      for (;;) {
        const cid = Buffer.from(this.#random.bytes(cidBytes)).readUIntBE(0, cidBytes);
        if (!this.#byCid.has(cid)) return cid;
      }
    };
    return { settings, counters: this.counters, random: this.#random, resumptions: this.#resumptions, newCid };
  }

  receive(datagram: Uint8Array, from: PeerAddress, now: number): readonly DtlsEffect[] {
    const out: DtlsEffect[] = [];
    const bytes = Buffer.from(datagram.buffer, datagram.byteOffset, datagram.length);
    const record = this.#cursor;
    let at = 0;
    while (at < bytes.length) {
      if (!record.read(bytes, at)) {
        this.counters.dropped.malformed++;
        break;
      }
      at = record.end;
      if (record.type === contentTypes.tls12Cid) this.#receiveWithCid(bytes, record, from, now, out);
      else if (record.epoch === 0) this.#receivePlain(bytes, record, from, now, out);
      else this.#receiveProtected(bytes, record, from, now, out);
    }
    return out;
  }

  #receiveWithCid(bytes: Buffer, record: RecordCursor, from: PeerAddress, now: number, out: DtlsEffect[]): void {
    const holder = this.#byCid.get(record.cid);
    const { dropped } = this.counters;
    if (holder === undefined) dropped['unknown-peer']++;
    else if (record.epoch !== 1) dropped.unexpected++;
    else if (holder instanceof Session) {
      if (!this.#toSession(holder, bytes, record, from, now, out)) dropped['bad-record']++;
      // A handshake does not move.
    } else if (!isSamePeer(holder.peer, from)) dropped['unknown-peer']++;
    else if (!this.#toHandshake(holder, bytes, record, now, out)) {
      dropped['bad-record']++;
      holder.sawBadRecord();
    }
  }

  /** Of epoch 1 or above, without Connection ID. A session and a handshake that is to follow it may share an address. */
  #receiveProtected(bytes: Buffer, record: RecordCursor, from: PeerAddress, now: number, out: DtlsEffect[]): void {
    const key = keyOf(from);
    const session = this.#live.get(key);
    const handshake = this.#pending.get(key);
    const { dropped } = this.counters;
    if (session === undefined && handshake === undefined) dropped['unknown-peer']++;
    else if (record.epoch !== 1) dropped.unexpected++;
    else {
      // RFC 9146 §3: once agreed on, all records have it.
      const byAddress = session?.cid === undefined ? session : undefined;
      const following = handshake?.cid === undefined ? handshake : undefined;
      if (byAddress === undefined && following === undefined) dropped['without-cid']++;
      else this.#tryBoth(byAddress, following, bytes, record, from, now, out);
    }
  }

  /** The numbers of a new session begin anew: what looks like a repetition in the old one may be the new one's Finished. */
  #tryBoth(
    session: Session | undefined,
    handshake: Handshake | undefined,
    bytes: Buffer,
    record: RecordCursor,
    from: PeerAddress,
    now: number,
    out: DtlsEffect[],
  ): void {
    const isReady = handshake?.state === 'finished';
    if (handshake !== undefined && isReady && this.#toHandshake(handshake, bytes, record, now, out)) return;
    const isForSession = session !== undefined && (handshake === undefined || session.window.isFresh(record.sequence));
    if (isForSession && this.#toSession(session, bytes, record, from, now, out)) return;
    if (handshake !== undefined && !isReady) this.#toHandshake(handshake, bytes, record, now, out);
    else {
      this.counters.dropped['bad-record']++;
      handshake?.sawBadRecord();
    }
  }

  #receivePlain(bytes: Buffer, record: RecordCursor, from: PeerAddress, now: number, out: DtlsEffect[]): void {
    const body = bytes.subarray(record.start, record.end);
    const key = keyOf(from);
    const handshake = this.#pending.get(key);
    if (record.type === contentTypes.handshake && body[0] === messageTypes.clientHello) {
      const [fragment] = fragmentsIn(body) ?? [];
      if (fragment === undefined) {
        this.counters.dropped.malformed++;
        return;
      }
      if (fragment.offset === 0) {
        this.#takeHello(fragment, { from, key, body, recordSequence: record.sequence }, now, out);
        return;
      }
      if (handshake === undefined) {
        this.counters.dropped['fragmented-hello']++;
        return;
      }
    }
    if (handshake === undefined) this.counters.dropped['unknown-peer']++;
    else {
      handshake.receive(record.type, body, now, out);
      this.#settle(handshake, now, out);
    }
  }

  /** RFC 6347 §4.2.1: nothing is kept before the cookie has come back. */
  #takeHello(fragment: Fragment, { from, key, body, recordSequence }: Arrival, now: number, out: DtlsEffect[]): void {
    const { dropped } = this.counters;
    const start = helloStartOf(fragment);
    const isWhole = fragment.bytes.length === fragment.length;
    if (start === undefined) {
      dropped[isWhole ? 'malformed' : 'fragmented-hello']++;
      return;
    }
    const pending = this.#pending.get(key);
    if (pending !== undefined && Buffer.compare(pending.clientRandom, start.random) === 0) {
      pending.receive(contentTypes.handshake, body, now, out);
      this.#settle(pending, now, out);
    } else if (this.#live.get(key)?.beganWith(start.random) === true) {
      dropped['repeated-hello']++;
    } else if (fragment.sequence > maxHelloSequence) {
      dropped.malformed++;
    } else if (this.#cookies.isGood(start.cookie, from, start.random, now)) {
      this.#begin(fragment, { from, key, body, recordSequence }, start, now, out);
    } else if (!isWhole) {
      dropped['fragmented-hello']++;
    } else {
      this.counters.helloVerifyRequests++;
      const request = writeHelloVerifyRequest(this.#cookies.bake(from, start.random, now));
      const message = fragmentOf(messageTypes.helloVerifyRequest, fragment.sequence, request);
      out.push({ kind: 'datagram', to: from, bytes: plainRecord(contentTypes.handshake, dtls10, recordSequence, message) });
    }
  }

  #begin(fragment: Fragment, { from, key, body, recordSequence }: Arrival, start: HelloStart, now: number, out: DtlsEffect[]): void {
    const { limits } = this.#settings;
    // The client has begun again.
    const before = this.#pending.get(key);
    if (before !== undefined) this.#drop(before);
    const isFull = this.#pending.size >= limits.pendingHandshakes || this.#sessions.size >= limits.sessions;
    const refused = isFull ? 'full' : this.#hosts.begin(from.address, limits, now);
    if (refused !== undefined) {
      this.counters.dropped[refused]++;
      return;
    }
    const peer = { address: { address: from.address, port: from.port }, key, random: start.random };
    const handshake = new Handshake(++this.#lastHandshake, peer, { sequence: fragment.sequence, recordSequence }, this.#parts, now);
    this.#pending.set(key, handshake);
    this.#handshakes.set(handshake.id, handshake);
    this.counters.handshakesPending = this.#pending.size;
    handshake.receive(contentTypes.handshake, body, now, out);
    this.#settle(handshake, now, out);
  }

  /** False: the record does not open. */
  #toHandshake(handshake: Handshake, bytes: Buffer, record: RecordCursor, now: number, out: DtlsEffect[]): boolean {
    if (handshake.state !== 'finished') {
      handshake.hold(bytes.subarray(record.head, record.end));
      return true;
    }
    const isOpened = handshake.receiveProtected(bytes, record, now, out);
    this.#settle(handshake, now, out);
    return isOpened;
  }

  /** After each step of a handshake: what follows from its state. */
  #settle(handshake: Handshake, now: number, out: DtlsEffect[]): void {
    this.counters.handshakeBytes += handshake.count();
    if (handshake.cid !== undefined && !this.#byCid.has(handshake.cid)) this.#byCid.set(handshake.cid, handshake);
    if (handshake.state === 'finished') {
      const record = new RecordCursor(cidBytes);
      for (const bytes of handshake.takeHeld()) {
        if (handshake.state !== 'finished') handshake.hold(bytes);
        else if (record.read(bytes, 0) && !handshake.receiveProtected(bytes, record, now, out)) {
          this.counters.dropped['bad-record']++;
          handshake.sawBadRecord();
        }
      }
    }
    if (handshake.state === 'open') this.#open(handshake, now, out);
    else if (handshake.state === 'failed') this.#drop(handshake);
    else this.#deadlines.set(handshake, handshake.nextDeadline);
  }

  #drop(handshake: Handshake): void {
    this.#deadlines.set(handshake, Infinity);
    if (!this.#handshakes.delete(handshake.id)) return;
    this.#pending.delete(handshake.peerKey);
    if (handshake.cid !== undefined) this.#byCid.delete(handshake.cid);
    this.#hosts.end(handshake.peer.address);
    this.counters.handshakeBytes -= handshake.counted;
    this.counters.handshakesPending = this.#pending.size;
  }

  #open(handshake: Handshake, now: number, out: DtlsEffect[]): void {
    this.#drop(handshake);
    const session = new Session(++this.#lastSession, handshake, now);
    const before = this.#live.get(session.peerKey);
    // Whoever has a Connection ID may have gone elsewhere, and another come by its address (NAT). Only the same one replaces itself.
    if (before !== undefined && (before.cid === undefined || isSameIdentity(before.identity, session.identity))) {
      this.#end(before, 'replaced', out);
    }
    const excess = this.#groups.add(session, this.#settings.limits.sessionsPerPeer);
    if (excess !== undefined) this.#sayGoodbye(excess, 'replaced', out);
    this.#sessions.set(session.id, session);
    this.#live.set(session.peerKey, session);
    if (session.cid !== undefined) this.#byCid.set(session.cid, session);
    this.#deadlines.set(session, now + this.#idleMsOf(session));
    this.counters.sessions = this.#sessions.size;
    this.counters.opened++;
    if (handshake.isResumed) this.counters.resumed++;
    const { suite, agreed } = handshake.outcome;
    out.push({
      kind: 'opened',
      session: session.id,
      peer: session.peer,
      identity: session.identity,
      suite: suite.name,
      group: agreed?.group?.name,
      isResumed: handshake.isResumed,
      hasCid: session.cid !== undefined,
      maxBytes: session.maxBytes,
    });
    const record = new RecordCursor(cidBytes);
    for (const bytes of handshake.takeHeld()) {
      if (record.read(bytes, 0) && this.#sessions.has(session.id)) this.#toSession(session, bytes, record, session.peer, now, out);
    }
  }

  /** False: the record does not open. */
  #toSession(session: Session, bytes: Buffer, record: RecordCursor, from: PeerAddress, now: number, out: DtlsEffect[]): boolean {
    const { counters } = this;
    const { sequence } = record;
    if (!session.window.isFresh(sequence)) {
      counters.dropped.replayed++;
      return true;
    }
    const opened = session.opener.open(bytes, record);
    if (opened === undefined) return false;
    const isNewest = session.window.isNewest(sequence);
    session.window.accept(sequence);
    session.lastSeen = now;
    counters.recordsIn++;
    // RFC 9146 §6: only an authenticated record that is the newest moves its peer. Without Connection ID it was found by its address.
    if (isNewest && session.cid !== undefined && !isSamePeer(session.peer, from)) this.#move(session, from, out);
    const { type, content } = opened;
    if (type === contentTypes.applicationData && content.length <= maxPlaintext) {
      session.lastFlight = undefined;
      if (content.length > 0) out.push({ kind: 'data', session: session.id, bytes: content });
    } else if (type === contentTypes.alert) this.#takeAlert(session, content, out);
    else if (type === contentTypes.handshake) this.#takeLateMessage(session, content, out);
    else counters.dropped.unexpected++;
    return true;
  }

  #move(session: Session, from: PeerAddress, out: DtlsEffect[]): void {
    if (this.#live.get(session.peerKey) === session) this.#live.delete(session.peerKey);
    session.peer = { address: from.address, port: from.port };
    session.peerKey = keyOf(from);
    // Another that is known by this address alone keeps it.
    const other = this.#live.get(session.peerKey);
    if (other === undefined || other.cid !== undefined) this.#live.set(session.peerKey, session);
    this.counters.moves++;
    out.push({ kind: 'moved', session: session.id, to: session.peer });
  }

  #takeAlert(session: Session, body: Buffer, out: DtlsEffect[]): void {
    if (body.length !== 2) {
      this.counters.dropped.malformed++;
    } else if (body[1] === 0) {
      // RFC 5246 §7.2.1: close_notify is answered with one.
      this.#sendAlert(session, 'close-notify', out);
      this.#end(session, 'peer', out);
    } else if (body[0] === alertLevels.fatal) {
      // RFC 5246 §7.2.2: it must not be resumed.
      if (session.sessionKey !== undefined) this.#resumptions.drop(session.sessionKey);
      this.counters.resumptionEntries = this.#resumptions.size;
      this.#end(session, 'alert', out);
    }
  }

  /** A message of the handshake in an open session: our Finished was lost, or the peer wants to renegotiate. */
  #takeLateMessage(session: Session, body: Buffer, out: DtlsEffect[]): void {
    const type = body[0];
    if (type === messageTypes.finished && session.lastFlight !== undefined) {
      this.counters.retransmissions++;
      const { flight, plain } = session.lastFlight;
      for (const bytes of flight.datagrams(plain, this.#settings.limits.mtu)) out.push({ kind: 'datagram', to: session.peer, bytes });
    } else if (type === messageTypes.clientHello) {
      this.counters.renegotiationsRefused++;
      this.#sendAlert(session, 'no-renegotiation', out);
    } else this.counters.dropped.unexpected++;
  }

  /** Both kinds are warnings. */
  #sendAlert(session: Session, alert: 'close-notify' | 'no-renegotiation', out: DtlsEffect[]): void {
    if (session.sealer.isExhausted) return;
    out.push({ kind: 'datagram', to: session.peer, bytes: session.sealer.seal(contentTypes.alert, alertBody(alert, 'warning')) });
  }

  #end(session: Session, reason: CloseReason, out: DtlsEffect[]): void {
    this.#deadlines.set(session, Infinity);
    this.#sessions.delete(session.id);
    this.#groups.remove(session);
    if (this.#live.get(session.peerKey) === session) this.#live.delete(session.peerKey);
    if (session.cid !== undefined) this.#byCid.delete(session.cid);
    this.counters.sessions = this.#sessions.size;
    this.counters.closed[reason]++;
    out.push({ kind: 'closed', session: session.id, reason });
  }

  send(id: SessionId, data: Uint8Array, _now: number): readonly DtlsEffect[] {
    const session = this.#sessions.get(id);
    if (session === undefined) return [];
    if (data.length > session.maxBytes) {
      this.counters.dropped['too-long']++;
      return [];
    }
    if (session.sealer.isExhausted) {
      const out: DtlsEffect[] = [];
      this.#end(session, 'exhausted', out);
      return out;
    }
    this.counters.recordsOut++;
    return [{ kind: 'datagram', to: session.peer, bytes: session.sealer.seal(contentTypes.applicationData, data) }];
  }

  close(id: SessionId, _now: number): readonly DtlsEffect[] {
    const session = this.#sessions.get(id);
    const out: DtlsEffect[] = [];
    if (session !== undefined) this.#sayGoodbye(session, 'local', out);
    return out;
  }

  #sayGoodbye(session: Session, reason: CloseReason, out: DtlsEffect[]): void {
    this.#sendAlert(session, 'close-notify', out);
    this.#end(session, reason, out);
  }

  pskAnswer(id: HandshakeId, answer: PskAnswer | undefined, now: number): readonly DtlsEffect[] {
    return this.#answered(id, now, (handshake, out) => handshake.pskAnswer(answer, now, out));
  }

  admissionAnswer(id: HandshakeId, admission: Admission, now: number): readonly DtlsEffect[] {
    return this.#answered(id, now, (handshake, out) => handshake.admissionAnswer(admission, now, out));
  }

  #answered(id: HandshakeId, now: number, answer: (handshake: Handshake, out: DtlsEffect[]) => void): readonly DtlsEffect[] {
    const out: DtlsEffect[] = [];
    const handshake = this.#handshakes.get(id);
    if (handshake === undefined) return out;
    answer(handshake, out);
    this.#settle(handshake, now, out);
    return out;
  }

  tick(now: number): readonly DtlsEffect[] {
    const out: DtlsEffect[] = [];
    for (let due = this.#deadlines.takeDue(now); due !== undefined; due = this.#deadlines.takeDue(now)) {
      if (due instanceof Handshake) {
        due.onDeadline(now, out);
        this.#settle(due, now, out);
      } else {
        const idleAt = due.lastSeen + this.#idleMsOf(due);
        if (idleAt > now) this.#deadlines.set(due, idleAt);
        else this.#sayGoodbye(due, 'idle', out);
      }
    }
    return out;
  }

  #idleMsOf({ cid }: Session): number {
    const { limits } = this.#settings;
    return cid === undefined ? limits.idleMs : limits.idleWithCidMs;
  }

  nextDeadline(): number {
    return this.#deadlines.next;
  }

  forget(matches: (identity: DtlsIdentity) => boolean): void {
    this.#resumptions.forget(matches);
    this.counters.resumptionEntries = this.#resumptions.size;
  }

  closeAll(_now: number): readonly DtlsEffect[] {
    const out: DtlsEffect[] = [];
    for (const handshake of [...this.#handshakes.values()]) this.#drop(handshake);
    for (const session of [...this.#sessions.values()]) this.#sayGoodbye(session, 'local', out);
    return out;
  }

  addressOf(id: SessionId): PeerAddress | undefined {
    return this.#sessions.get(id)?.peer;
  }
}

type Arrival = { readonly from: PeerAddress; readonly key: string; readonly body: Buffer; readonly recordSequence: number };

function helloStartOf(fragment: Fragment): HelloStart | undefined {
  try {
    return readHelloStart(new ByteReader(fragment.bytes));
  } catch {
    return undefined;
  }
}

function keyOf({ address, port }: PeerAddress): string {
  return `${address}|${port}`;
}

function isSamePeer(one: PeerAddress, other: PeerAddress): boolean {
  return one.port === other.port && one.address === other.address;
}
