// DTLS on a UDP socket: carries out what a DtlsEndpoint (dtls/endpoint.ts) says, and asks who may come in. One peer is one session.

import type { Sample } from '../base/metrics.ts';
import type { Timer } from '../base/timers.ts';
import type { DatagramProtocol } from '../protocols/datagram.ts';
import type { WireFacts } from '../protocols/protocol.ts';
import { plainAddress } from './address.ts';
import { NetCounters, type RefusalReason } from './counters.ts';
import { DatagramCounters, type DropReason } from './datagram-counters.ts';
import type { DatagramLimits } from './datagram-limits.ts';
import { DtlsAdmission } from './dtls-admission.ts';
import { dtlsSettings, type DtlsListenerSettings } from './dtls-settings.ts';
import type { DtlsEffect, DtlsEndpoint, HandshakeId, PeerAddress, SessionId } from './dtls/endpoint.ts';
import { createDtlsEndpoint } from './dtls/server.ts';
import { listenError } from './listen-error.ts';
import type { BoundAddress } from './listener.ts';
import type { NetLoop } from './loop.ts';
import { OpenPath } from './open-path.ts';
import { PathHouse } from './path-house.ts';
import { bindUdp, type UdpSocket } from './udp-socket.ts';

export type DtlsListenerOptions = {
  /** As in the configuration. */
  readonly name: string;
  readonly protocol: DatagramProtocol;
  /** An address or name; `::` is every interface, IPv4 and IPv6. */
  readonly host: string;
  /** 0: the system chooses. */
  readonly port: number;
  readonly limits: DatagramLimits;
  readonly dtls: DtlsListenerSettings;
};

type Effect<Kind extends DtlsEffect['kind']> = Extract<DtlsEffect, { kind: Kind }>;

/** Datagrams of a session that wait until it is decided whether it may be resumed. */
const maxWaiting = 8;

class DtlsPath extends OpenPath<DtlsPath> {
  facts: WireFacts;
  readonly session: SessionId;
  readonly maxBytes: number;
  readonly #listener: DtlsSender;
  #isProven = true;

  constructor(home: PathHouse<DtlsPath>, listener: DtlsSender, facts: WireFacts, session: SessionId, maxBytes: number) {
    super(home, facts.remoteAddress);
    this.#listener = listener;
    this.facts = facts;
    this.session = session;
    this.maxBytes = maxBytes;
  }

  /**
   * It has returned a cookie. After a move nothing is sure until the protocol has had an answer to something that nobody can guess
   * (RFC 9146 §6): records that are held up and sent on from another address, or sent with a false one, would turn what is sent
   * against that, and further ones can be sent on alike.
   */
  get isProven(): boolean {
    return this.#isProven;
  }

  moved(remoteAddress: string, remotePort: number): void {
    this.facts = { ...this.facts, remoteAddress, remotePort };
    this.#isProven = false;
  }

  proven(): void {
    this.#isProven = true;
  }

  /** Its certificate has ended. Wall clock. */
  isOver(wallMs: number): boolean {
    return wallMs > (this.facts.peerCertificate?.notAfterMs ?? Infinity);
  }

  protected get self(): DtlsPath {
    return this;
  }

  send(bytes: Uint8Array): void {
    this.#listener.send(this, bytes);
  }
}

type DtlsSender = { send(path: DtlsPath, bytes: Uint8Array): void };

export class DtlsListener {
  readonly kind = 'dtls';
  /** Of sessions and handshakes; what the socket sees is in `datagrams`. */
  readonly counters: NetCounters;
  readonly datagrams: DatagramCounters;
  readonly #options: DtlsListenerOptions;
  readonly #loop: NetLoop;
  readonly #dtls: DtlsEndpoint;
  readonly #house: PathHouse<DtlsPath>;
  readonly #paths = new Map<SessionId, DtlsPath>();
  /** What has come for sessions of which it is not decided whether they may be resumed. */
  readonly #undecided = new Map<SessionId, Uint8Array[]>();
  /** Handshakes that fail because a certificate was refused here, which is told already. */
  readonly #judged = new Set<HandshakeId>();
  readonly #sender: DtlsSender = { send: (path, bytes) => this.#send(path, bytes) };
  #admission: DtlsAdmission;
  #socket: UdpSocket | undefined;
  #address: BoundAddress | undefined;
  #timer: Timer | undefined;
  /** Effects that are to be carried out in their order, and whether somebody is at it. */
  #effects: DtlsEffect[] = [];
  #isAtWork = false;

  /** @throws UserError when the certificates cannot be used */
  constructor(options: DtlsListenerOptions, loop: NetLoop) {
    const { name, limits, dtls } = options;
    this.#options = options;
    this.#loop = loop;
    this.counters = new NetCounters(name);
    this.datagrams = new DatagramCounters(name);
    this.#dtls = createDtlsEndpoint(dtlsSettings(dtls, name));
    this.#admission = new DtlsAdmission(dtls, name, loop.clock);
    this.#house = new PathHouse(loop, this.datagrams, limits, (path) => this.#forget(path));
  }

  get name(): string {
    return this.#options.name;
  }

  /** Where it listens; undefined before `start` and once it accepts no new sessions. */
  get address(): BoundAddress | undefined {
    return this.#address;
  }

  /** @throws UserError when the address cannot be listened on */
  async start(): Promise<BoundAddress> {
    const { name, host, port, limits } = this.#options;
    const { receiveBufferBytes, sendBufferBytes, maxQueuedBytes } = limits;
    try {
      const options = { host, port, receiveBufferBytes, sendBufferBytes, maxQueuedBytes };
      this.#socket = await bindUdp(options, this.datagrams, (bytes, address, from) => this.#received(bytes, { address, port: from }));
    } catch (error) {
      throw listenError({ name, host, port }, error as NodeJS.ErrnoException);
    }
    this.#address = this.#socket.address;
    return this.#address;
  }

  /** Later handshakes use these settings; open sessions go on. @throws UserError; then nothing has changed */
  reloadDtls(settings: DtlsListenerSettings): void {
    this.#dtls.reconfigure(dtlsSettings(settings, this.name));
    this.#admission = new DtlsAdmission(settings, this.name, this.#loop.clock);
  }

  stopAccepting(): void {
    this.#house.stopAccepting();
    this.#address = undefined;
  }

  /**
   * Tells every peer's protocol that the node goes down and waits until they are closed, at most until `deadlineMs` on the loop's
   * clock. Returns whether nothing had to be cut.
   */
  async drain(deadlineMs: number): Promise<boolean> {
    this.stopAccepting();
    const clean = await this.#house.drain(deadlineMs);
    this.#carryOut(this.#dtls.closeAll(this.#nowMs()));
    this.#loop.timers.cancel(this.#timer);
    this.#socket?.close();
    this.#socket = undefined;
    return clean;
  }

  *metrics(): Iterable<Sample> {
    yield* this.counters.metrics();
    yield* this.datagrams.metrics();
    yield* this.#dtls.counters.metrics(this.name);
  }

  // --- between socket and endpoint ---

  #received(bytes: Uint8Array, from: PeerAddress): void {
    this.#loop.enterTurn();
    this.datagrams.received++;
    this.datagrams.bytesIn += bytes.length;
    this.#carryOut(this.#dtls.receive(bytes, from, this.#nowMs()));
  }

  #send(path: DtlsPath, bytes: Uint8Array): void {
    if (path.isOver(this.#loop.clock.wallMs())) {
      path.close();
      return;
    }
    this.counters.bytesOut += bytes.length;
    this.#carryOut(this.#dtls.send(path.session, bytes, this.#nowMs()));
  }

  /** What is carried out may have effects of its own; they come behind those that are there. */
  #carryOut(effects: readonly DtlsEffect[]): void {
    if (this.#isAtWork) {
      this.#effects.push(...effects);
      return;
    }
    this.#isAtWork = true;
    for (const effect of effects) this.#do(effect);
    // Appended to while it is walked along.
    for (const effect of this.#effects) this.#do(effect);
    this.#effects.length = 0;
    this.#isAtWork = false;
    this.counters.handshakesPending = this.#dtls.counters.handshakesPending;
    this.#arm();
  }

  #do(effect: DtlsEffect): void {
    try {
      this.#doOne(effect);
    } catch (error) {
      this.#loop.invariantBroken(error, this.name);
    }
  }

  #doOne(effect: DtlsEffect): void {
    switch (effect.kind) {
      case 'datagram':
        this.#socket?.send(effect.bytes, effect.to.port, effect.to.address);
        break;
      case 'data':
        this.#data(effect);
        break;
      case 'opened':
        this.#opened(effect);
        break;
      case 'moved':
        this.#moved(effect);
        break;
      case 'closed':
        this.#undecided.delete(effect.session);
        this.#paths.get(effect.session)?.close();
        break;
      case 'pskWanted':
        this.#pskWanted(effect);
        break;
      case 'certificateWanted':
        this.#certificateWanted(effect);
        break;
      case 'rawKeyWanted':
        // Whose it is finds out who serves the peer, as for those without a key.
        this.#carryOut(this.#dtls.admissionAnswer(effect.handshake, { ok: true }, this.#nowMs()));
        break;
      case 'failed':
        this.#failed(effect);
        break;
    }
  }

  #arm(): void {
    const nextMs = this.#dtls.nextDeadline();
    if (nextMs === Infinity || (this.#timer?.task !== undefined && this.#timer.deadlineMs <= nextMs)) return;
    this.#loop.timers.cancel(this.#timer);
    this.#timer = this.#loop.timers.at(nextMs, () => {
      this.#timer = undefined;
      this.#carryOut(this.#dtls.tick(this.#nowMs()));
    });
    this.#loop.wakeAt(nextMs);
  }

  #nowMs(): number {
    return this.#loop.clock.monotonicMs();
  }

  // --- who may come in ---

  #pskWanted({ handshake, identity }: Effect<'pskWanted'>): void {
    this.#whenDecided(this.#admission.psk(identity), (answer) => this.#dtls.pskAnswer(handshake, answer, this.#nowMs()));
  }

  #certificateWanted({ handshake, chain, peer }: Effect<'certificateWanted'>): void {
    this.#whenDecided(this.#admission.certificate(chain, plainAddress(peer.address)), (judged) => {
      if (!judged.ok && judged.fault !== undefined) this.counters.refusedCertificates[judged.fault]++;
      const effects = this.#dtls.admissionAnswer(handshake, judged, this.#nowMs());
      // The peer may have gone meanwhile.
      if (!judged.ok && effects.some(({ kind }) => kind === 'failed')) this.#judged.add(handshake);
      return effects;
    });
  }

  #whenDecided<T>(decision: T | Promise<T>, answer: (decision: T) => readonly DtlsEffect[]): void {
    if (!(decision instanceof Promise)) {
      this.#carryOut(answer(decision));
      return;
    }
    decision.then(
      (found) => {
        this.#loop.enterTurn();
        this.#carryOut(answer(found));
      },
      // None rejects; the handshake's time ends it.
      (error: unknown) => this.#loop.invariantBroken(error, this.name),
    );
  }

  #failed({ handshake, peer, reason }: Effect<'failed'>): void {
    this.counters.failedHandshakes[reason]++;
    const isToldOf = this.#judged.delete(handshake);
    if (isToldOf || reason === 'timeout' || reason === 'protocol' || reason === 'distrusted') return;
    // Nothing was shown, or it was not proved that it is the peer's.
    const fault = this.#options.dtls.clientCertificate === 'require' ? 'missing' : 'bad-signature';
    if (reason === 'certificate') this.counters.refusedCertificates[fault]++;
    this.#admission.failed(reason, plainAddress(peer.address), fault);
  }

  #opened(effect: Effect<'opened'>): void {
    const { session, suite, group, isResumed, identity, peer } = effect;
    this.counters.secured({ version: 'DTLSv1.2', cipher: suite, group: group ?? 'none' });
    if (!isResumed) {
      this.#enter(effect, []);
      return;
    }
    const may = this.#admission.mayResume(identity, plainAddress(peer.address));
    if (may instanceof Promise) this.#undecided.set(session, []);
    this.#whenDecided(may, (isGood) => {
      const waiting = this.#undecided.get(session) ?? [];
      this.#undecided.delete(session);
      // It may have ended meanwhile.
      if (this.#dtls.addressOf(session) === undefined) return [];
      if (!isGood) {
        this.counters.failedHandshakes[identity.kind === 'psk' ? 'psk' : 'certificate']++;
        return this.#dtls.close(session, this.#nowMs());
      }
      this.#enter(effect, waiting);
      return [];
    });
  }

  #enter(effect: Effect<'opened'>, waiting: readonly Uint8Array[]): void {
    const { session, identity, maxBytes } = effect;
    const { address, port } = this.#dtls.addressOf(session)!;
    const remoteAddress = plainAddress(address);
    const refused = this.#house.refusal(remoteAddress);
    if (refused !== undefined) {
      this.counters.refused[refusalOf(refused)]++;
      this.#carryOut(this.#dtls.close(session, this.#nowMs()));
      return;
    }
    const facts = { listener: this.name, remoteAddress, remotePort: port, secure: true, ...this.#admission.factsOf(identity) };
    const path = new DtlsPath(this.#house, this.#sender, facts, session, Math.min(maxBytes, this.#options.limits.maxDatagramBytes));
    this.#paths.set(session, path);
    this.counters.accepted++;
    this.counters.active++;
    this.#house.add(path);
    path.open(this.#options.protocol);
    for (const bytes of waiting) path.received(bytes, false);
  }

  // --- sessions ---

  #data({ session, bytes }: Effect<'data'>): void {
    const path = this.#paths.get(session);
    if (path === undefined) {
      const waiting = this.#undecided.get(session);
      if (waiting !== undefined && waiting.length < maxWaiting) waiting.push(bytes);
      else this.datagrams.dropped[waiting === undefined ? 'closed' : 'undecided']++;
      return;
    }
    if (path.isOver(this.#loop.clock.wallMs())) {
      path.close();
      return;
    }
    this.counters.reads++;
    this.counters.bytesIn += bytes.length;
    this.#house.heard(path);
    path.received(bytes, false);
  }

  #moved({ session, to }: Effect<'moved'>): void {
    this.#paths.get(session)?.moved(plainAddress(to.address), to.port);
  }

  /** The path is closed, by whomever. */
  #forget(path: DtlsPath): void {
    this.#paths.delete(path.session);
    this.counters.active--;
    this.#carryOut(this.#dtls.close(path.session, this.#nowMs()));
  }
}

function refusalOf(reason: DropReason): RefusalReason {
  return reason === 'address' || reason === 'rate' || reason === 'draining' ? reason : 'connections';
}
