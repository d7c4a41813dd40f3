// One security context in memory (RFC 8613 §3): its keys, what it has sent and accepted, and what of that must be durable before it
// counts. Numbers are taken from a stretch that is written down beforehand, so that a write is needed only once in a while.

import {
  createCipheriv,
  createDecipheriv,
  timingSafeEqual,
  type CipherCCM,
  type CipherCCMTypes,
  type DecipherCCM,
  type KeyObject,
} from 'node:crypto';
import type { Clock } from '../../base/clock.ts';
import type { Random } from '../../base/random.ts';
import type { OscoreContextName } from '../security.ts';
import { aadOf, deriveKeys, lastSequence, nonceOf, pivOf, sequenceOf, type ContextInput, type ContextKeys } from './derivation.ts';
import type { Acceptance, OpenedRequest, OscoreBinding, OscoreContext, SealedRequest, SealedResponse } from './oscore.ts';
import { ReplayWindow } from './replay-window.ts';
import type { SequenceState, SequenceStore } from './sequence-store.ts';

export type ContextSettings = {
  /** Numbers that are taken at a time. */
  readonly stretch: number;
  /** Messages of one context that wait for a write. */
  readonly maxWaiting: number;
  /** How long an Echo value is good. */
  readonly echoMs: number;
};

export type ContextServices = {
  readonly store: SequenceStore;
  readonly clock: Clock;
  readonly random: Random;
};

const echoBytes = 8;

export class SecurityContext implements OscoreContext {
  readonly name: OscoreContextName;
  readonly #input: ContextInput;
  readonly #keys: ContextKeys;
  readonly #settings: ContextSettings;
  readonly #services: ContextServices;
  readonly #window: ReplayWindow;
  /** Below it stand requests of which a crash has made us forget which were accepted. Raised by an Echo or by what is above. */
  #lostBelow: number;
  #echo: { readonly value: Uint8Array; readonly untilMs: number } | undefined;
  #nextSequence: number;
  /** What is durable. */
  #sentBelow: number;
  #acceptedBelow: number;
  #write: Promise<void> | undefined;
  readonly #waiting: ((isWritten: boolean) => void)[] = [];
  /** Moves when what is durable is set back: a write that began before says nothing any more. */
  #generation = 0;
  #isInUse = false;
  #isRetired = false;

  constructor(name: OscoreContextName, input: ContextInput, windowSize: number, settings: ContextSettings, services: ContextServices) {
    this.name = name;
    this.#input = input;
    this.#keys = deriveKeys(input);
    this.#settings = settings;
    this.#services = services;
    this.#window = new ReplayWindow(windowSize);
    const known = services.store.get(this.#keys.fingerprint);
    this.#nextSequence = known?.sentBelow ?? 0;
    this.#sentBelow = this.#nextSequence;
    this.#acceptedBelow = known?.acceptedBelow ?? 0;
    this.#lostBelow = 0;
    if (known?.window !== undefined) {
      this.#window.restore(known.window.newest, known.window.seen);
      // As long as the file says that the window stands there, nothing may be accepted.
      this.#acceptedBelow = 0;
    } else if (known !== undefined) {
      this.#window.closeUpTo(known.acceptedBelow - 1);
      this.#lostBelow = known.acceptedBelow;
    }
  }

  get isRetired(): boolean {
    return this.#isRetired;
  }

  get fingerprint(): string {
    return this.#keys.fingerprint;
  }

  openRequest(kid: Uint8Array, piv: Uint8Array, ciphertext: Uint8Array): OpenedRequest | 'replay' | 'decryption-failed' {
    if (this.#isRetired) return 'decryption-failed';
    const sequence = sequenceOf(piv);
    if (sequence === undefined) return 'decryption-failed';
    if (!this.#window.isNew(sequence) && sequence >= this.#lostBelow) return 'replay';
    const { algorithm, recipientId } = this.#input;
    const aad = aadOf(algorithm, kid, piv);
    const nonce = nonceOf(this.#keys.commonIv, recipientId, piv);
    const plaintext = this.#open(this.#keys.recipient, nonce, aad, ciphertext);
    return plaintext === undefined ? 'decryption-failed' : { plaintext, binding: { aad, nonce }, sequence };
  }

  accept({ sequence }: OpenedRequest, echo: Uint8Array | undefined, answer: (acceptance: Acceptance) => void): void {
    if (sequence < this.#lostBelow) {
      if (!this.#isAnswered(echo)) return answer({ kind: 'challenge', echo: this.#challenge() });
      // RFC 8613 appendix B.1.2: it was sent after the challenge, so nothing newer was sent before.
      this.#window.closeUpTo(sequence - 1);
      this.#lostBelow = 0;
    }
    if (!this.#window.isNew(sequence)) return answer({ kind: 'replay' });
    // At once, and not when it is written down: the same request may come again meanwhile.
    this.#window.accept(sequence);
    if (sequence >= this.#lostBelow) this.#lostBelow = 0;
    if (sequence < this.#acceptedBelow) {
      if (sequence >= this.#acceptedBelow - this.#settings.stretch / 2) this.#extend();
      return answer(fresh);
    }
    this.#whenWritten(
      () => sequence < this.#acceptedBelow,
      (isWritten) => answer(isWritten ? fresh : { kind: 'unavailable' }),
    );
  }

  #isAnswered(echo: Uint8Array | undefined): boolean {
    const given = this.#echo;
    if (echo === undefined || given === undefined || given.untilMs < this.#services.clock.monotonicMs()) return false;
    return echo.length === given.value.length && timingSafeEqual(echo, given.value);
  }

  /** The same for a while: several requests may be under way. */
  #challenge(): Uint8Array {
    const nowMs = this.#services.clock.monotonicMs();
    if (this.#echo === undefined || this.#echo.untilMs < nowMs + this.#settings.echoMs / 2) {
      this.#echo = { value: this.#services.random.bytes(echoBytes), untilMs: nowMs + this.#settings.echoMs };
    }
    return this.#echo.value;
  }

  sealResponse(
    { aad, nonce }: OscoreBinding,
    plaintext: Uint8Array,
    ownNonce: boolean,
    answer: (sealed: SealedResponse | undefined) => void,
  ): void {
    if (this.#isRetired) return answer(undefined);
    if (!ownNonce) return answer({ piv: undefined, ciphertext: this.#seal(nonce, aad, plaintext) });
    this.#takeSequence((piv) => {
      if (piv === undefined) return answer(undefined);
      answer({ piv, ciphertext: this.#seal(nonceOf(this.#keys.commonIv, this.#input.senderId, piv), aad, plaintext) });
    });
  }

  sealRequest(plaintext: Uint8Array, answer: (sealed: SealedRequest | undefined) => void): void {
    const { algorithm, senderId, idContext } = this.#input;
    this.#takeSequence((piv) => {
      if (piv === undefined) return answer(undefined);
      const aad = aadOf(algorithm, senderId, piv);
      const nonce = nonceOf(this.#keys.commonIv, senderId, piv);
      const ciphertext = this.#seal(nonce, aad, plaintext);
      answer({ kid: senderId, kidContext: idContext, piv, ciphertext, binding: { aad, nonce } });
    });
  }

  openResponse({ aad, nonce }: OscoreBinding, piv: Uint8Array | undefined, ciphertext: Uint8Array): Uint8Array | undefined {
    if (piv !== undefined && sequenceOf(piv) === undefined) return undefined;
    const own = piv === undefined ? nonce : nonceOf(this.#keys.commonIv, this.#input.recipientId, piv);
    return this.#open(this.#keys.recipient, own, aad, ciphertext);
  }

  /**
   * Nobody may need it for a while: what is in use is written as it is, so that nothing is skipped when it comes back. Whatever is
   * done with it afterwards waits for a write first, as if it had been read from there.
   */
  putAway(): Promise<void> {
    if (!this.#isInUse) return Promise.resolve();
    this.#isInUse = false;
    this.#generation++;
    const state = { sentBelow: this.#nextSequence, acceptedBelow: Math.max(this.#acceptedBelow, this.#window.newest + 1) };
    const window = this.#lostBelow > 0 ? {} : { window: { newest: this.#window.newest, seen: this.#window.toText() } };
    this.#sentBelow = this.#nextSequence;
    this.#acceptedBelow = 0;
    return this.#services.store.put(this.fingerprint, { ...state, ...window });
  }

  /** It is not to be used any more, by whoever still has it. */
  retire(): Promise<void> {
    const done = this.putAway();
    this.#isRetired = true;
    return done;
  }

  #takeSequence(use: (piv: Uint8Array | undefined) => void): void {
    if (this.#isRetired) return use(undefined);
    if (this.#nextSequence < this.#sentBelow && this.#waiting.length === 0) {
      const sequence = this.#nextSequence++;
      if (sequence >= this.#sentBelow - this.#settings.stretch / 2) this.#extend();
      return use(pivOf(sequence));
    }
    // RFC 8613 §7.2.1: the context must not be used any more.
    if (this.#nextSequence > lastSequence) return use(undefined);
    this.#whenWritten(
      () => this.#nextSequence < this.#sentBelow || this.#nextSequence > lastSequence,
      (isWritten) => use(isWritten && this.#nextSequence < this.#sentBelow ? pivOf(this.#nextSequence++) : undefined),
    );
  }

  /** Calls back when `holds` does, after as many writes as that takes. */
  #whenWritten(holds: () => boolean, task: (isWritten: boolean) => void): void {
    if (this.#isRetired || this.#waiting.length >= this.#settings.maxWaiting) return task(false);
    this.#waiting.push((isWritten) => {
      if (!isWritten || this.#isRetired) task(false);
      else if (holds()) task(true);
      else this.#whenWritten(holds, task);
    });
    this.#extend();
  }

  /** Writes down the next stretches of both kinds of numbers. */
  #extend(): void {
    if (this.#write !== undefined || this.#isRetired) return;
    this.#isInUse = true;
    const generation = this.#generation;
    const { stretch } = this.#settings;
    const sentBelow = Math.min(this.#nextSequence + stretch, lastSequence + 1);
    const acceptedBelow = Math.min(Math.max(this.#window.newest + 1 + stretch, this.#acceptedBelow, this.#lostBelow), lastSequence + 1);
    const state: SequenceState = { sentBelow, acceptedBelow };
    const written = (isWritten: boolean): void => {
      this.#write = undefined;
      if (isWritten && generation === this.#generation) {
        this.#sentBelow = sentBelow;
        this.#acceptedBelow = acceptedBelow;
      }
      for (const task of this.#waiting.splice(0)) task(isWritten);
    };
    this.#write = this.#services.store.put(this.fingerprint, state).then(
      () => written(true),
      () => written(false),
    );
  }

  #seal(nonce: Uint8Array, aad: Uint8Array, plaintext: Uint8Array): Uint8Array {
    const { cipher: name, tagBytes } = this.#input.algorithm;
    const cipher = createCipheriv(name as CipherCCMTypes, this.#keys.sender, nonce, { authTagLength: tagBytes }) as CipherCCM;
    cipher.setAAD(aad, { plaintextLength: plaintext.length });
    return Buffer.concat([cipher.update(plaintext), cipher.final(), cipher.getAuthTag()]);
  }

  #open(key: KeyObject, nonce: Uint8Array, aad: Uint8Array, ciphertext: Uint8Array): Uint8Array | undefined {
    const { cipher: name, tagBytes } = this.#input.algorithm;
    const end = ciphertext.length - tagBytes;
    if (end < 0) return undefined;
    const decipher = createDecipheriv(name as CipherCCMTypes, key, nonce, { authTagLength: tagBytes }) as DecipherCCM;
    decipher.setAAD(aad, { plaintextLength: end });
    decipher.setAuthTag(ciphertext.subarray(end));
    try {
      const opened = decipher.update(ciphertext.subarray(0, end));
      decipher.final();
      return opened;
    } catch {
      return undefined;
    }
  }
}

const fresh: Acceptance = { kind: 'fresh' };
