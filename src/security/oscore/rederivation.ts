// Fresh keys for a context whose device may ask for them (RFC 8613 appendix B.2), so that it need not keep its numbers: it shows an ID
// Context of its own, is given one by the node, and uses both from then on.
//
//   device: under ID1                        node: 4.01 under R2 || ID1, with R2
//   device: under R2 || R3, again and again  node: answers under the same
//
// Nothing is kept of the first request: R2 proves itself (S2, and what only this process can make of it). It is good for a short while,
// and once. What is derived lives in memory; after a restart the device starts over, for R2 of before proves nothing then.

import { createHmac, createSecretKey, timingSafeEqual, type KeyObject } from 'node:crypto';
import type { Clock } from '../../base/clock.ts';
import type { Random } from '../../base/random.ts';
import type { OscoreContextName } from '../security.ts';
import { SecurityContext, type ContextServices, type ContextSettings } from './context.ts';
import type { ContextInput } from './derivation.ts';
import type { Acceptance, OpenedRequest, OscoreBinding, OscoreContext, SealedRequest, SealedResponse } from './oscore.ts';
import { MemorySequenceStore } from './sequence-store.ts';

/** Milliseconds, in order. */
const stampBytes = 6;
const s2Bytes = 8;
const proofBytes = 8;
const r2Bytes = s2Bytes + proofBytes;
/** RFC 8613 appendix B.2: nonces of at least 64 bits. */
const minNonceBytes = 8;
const maxIdBytes = 64;
/** How long a device may take from R2 to its next request. */
const r2GoodMs = 60_000;

/** What a context is that may be derived anew: as in the registry. */
export type Base = { readonly name: OscoreContextName; readonly input: ContextInput; readonly windowSize: number };

/** What was derived last for a context. */
type Current = { readonly context: SecurityContext; readonly ids: string };

export class Rederivations {
  readonly #settings: ContextSettings;
  readonly #clock: Clock;
  readonly #random: Random;
  readonly #key: KeyObject;
  readonly #most: number;
  /** By tenant and credential; least recently derived first. */
  readonly #current = new Map<string, Current>();
  readonly #byIds = new Map<string, SecurityContext>();
  /** Of the R2 used last: one of before, or the same, must not be used any more. Kept for as long as it could be. */
  readonly #used = new Map<string, { readonly stamp: number; readonly atMs: number }>();
  #lastStamp = 0;

  constructor(settings: ContextSettings & { readonly maxContexts: number }, clock: Clock, random: Random) {
    this.#settings = settings;
    this.#clock = clock;
    this.#random = random;
    this.#key = createSecretKey(random.bytes(32));
    this.#most = settings.maxContexts;
  }

  /** What was derived for this context, if it is in use. */
  current(key: string): OscoreContext | undefined {
    return this.#current.get(key)?.context;
  }

  /** What was derived with these ids; `kidContext` as it came, wrapped in CBOR or not. */
  known(kid: string, kidContext: Uint8Array): OscoreContext | undefined {
    const inside = unwrapped(kidContext);
    return this.#byIds.get(idsOf(kid, kidContext)) ?? (inside && this.#byIds.get(idsOf(kid, inside)));
  }

  /** The context that a request with this kid context may be under; undefined: none. */
  find(key: string, base: Base, kidContext: Uint8Array): OscoreContext | undefined {
    const idContext = unwrapped(kidContext);
    if (idContext === undefined || idContext.length < minNonceBytes || idContext.length > maxIdBytes) return undefined;
    const own = new Uint8Array(idContext);
    if (own.length >= r2Bytes + minNonceBytes && this.#isR2(key, own.subarray(0, r2Bytes))) return this.#derived(key, base, own);
    return this.#asking(key, base, own);
  }

  /** The context is gone, or another one now. */
  forget(key: string): void {
    const current = this.#current.get(key);
    if (current === undefined) return;
    this.#current.delete(key);
    this.#byIds.delete(current.ids);
    void current.context.retire();
  }

  /** The first request: answered with R2, whatever it asks. */
  #asking(key: string, base: Base, id1: Uint8Array): OscoreContext {
    const asked = this.#make(base, id1);
    const accept = (_request: OpenedRequest, _echo: Uint8Array | undefined, answer: (acceptance: Acceptance) => void): void => {
      const r2 = this.#newR2(key);
      const context = this.#make(base, Buffer.concat([r2, id1]));
      answer({ kind: 'rederive', context, kidContext: wrapped(r2) });
    };
    return new Derived(asked, accept);
  }

  /** The second one: when it is opened with fresh keys, they are those of the context. */
  #derived(key: string, base: Base, idContext: Uint8Array): OscoreContext {
    const context = this.#make(base, idContext);
    return new Derived(context, (request, echo, answer) =>
      context.accept(request, echo, (acceptance) => {
        if (acceptance.kind === 'fresh' && !this.#install(key, base, context, idContext)) return answer({ kind: 'replay' });
        answer(acceptance);
      }),
    );
  }

  #make({ name, input, windowSize }: Base, idContext: Uint8Array): SecurityContext {
    // Keys that nobody had before need no numbers of before.
    const services: ContextServices = { store: new MemorySequenceStore(), clock: this.#clock, random: this.#random };
    return new SecurityContext(name, { ...input, idContext }, windowSize, this.#settings, services);
  }

  /** False: somebody was quicker with the same R2, or a newer one. */
  #install(key: string, { input }: Base, context: SecurityContext, idContext: Uint8Array): boolean {
    const r2 = idContext.subarray(0, r2Bytes);
    if (!this.#isR2(key, r2)) return false;
    this.forget(key);
    if (this.#current.size >= this.#most) this.forget(this.#current.keys().next().value!);
    const ids = idsOf(Buffer.from(input.recipientId).toString('hex'), idContext);
    this.#current.set(key, { context, ids });
    this.#byIds.set(ids, context);
    const atMs = this.#clock.monotonicMs();
    for (const [old, used] of this.#used) {
      if (used.atMs + 2 * r2GoodMs >= atMs) break;
      this.#used.delete(old);
    }
    this.#used.delete(key);
    this.#used.set(key, { stamp: stampOf(r2), atMs });
    return true;
  }

  #newR2(key: string): Uint8Array {
    // Never the same twice: R2 and ID1 make keys.
    this.#lastStamp = Math.max(Math.floor(this.#clock.monotonicMs()), this.#lastStamp + 1);
    const s2 = Buffer.alloc(s2Bytes);
    s2.writeUIntBE(this.#lastStamp, 0, stampBytes);
    s2.set(this.#random.bytes(s2Bytes - stampBytes), stampBytes);
    return Buffer.concat([s2, this.#proof(key, s2)]);
  }

  #proof(key: string, s2: Uint8Array): Uint8Array {
    return createHmac('sha256', this.#key).update(s2).update(key).digest().subarray(0, proofBytes);
  }

  #isR2(key: string, r2: Uint8Array): boolean {
    const s2 = r2.subarray(0, s2Bytes);
    if (!timingSafeEqual(this.#proof(key, s2), r2.subarray(s2Bytes))) return false;
    const stamp = stampOf(s2);
    const used = this.#used.get(key);
    return (used === undefined || stamp > used.stamp) && stamp + r2GoodMs >= this.#clock.monotonicMs();
  }
}

function stampOf(s2: Uint8Array): number {
  return Buffer.from(s2).readUIntBE(0, stampBytes);
}

function idsOf(kid: string, idContext: Uint8Array): string {
  return `${kid}/${Buffer.from(idContext).toString('hex')}`;
}

/** A context that decides in its own way what becomes of what it has opened. */
class Derived implements OscoreContext {
  readonly #under: SecurityContext;
  readonly accept: OscoreContext['accept'];

  constructor(under: SecurityContext, accept: OscoreContext['accept']) {
    this.#under = under;
    this.accept = accept;
  }

  get name(): OscoreContextName {
    return this.#under.name;
  }

  openRequest(kid: Uint8Array, piv: Uint8Array, ciphertext: Uint8Array): OpenedRequest | 'replay' | 'decryption-failed' {
    return this.#under.openRequest(kid, piv, ciphertext);
  }

  sealResponse(binding: OscoreBinding, plaintext: Uint8Array, own: boolean, answer: (sealed: SealedResponse | undefined) => void): void {
    this.#under.sealResponse(binding, plaintext, own, answer);
  }

  sealRequest(plaintext: Uint8Array, answer: (sealed: SealedRequest | undefined) => void): void {
    this.#under.sealRequest(plaintext, answer);
  }

  openResponse(binding: OscoreBinding, piv: Uint8Array | undefined, ciphertext: Uint8Array): Uint8Array | undefined {
    return this.#under.openResponse(binding, piv, ciphertext);
  }
}

/** A byte string in CBOR of less than 256 bytes, and nothing behind it. */
function unwrapped(bytes: Uint8Array): Uint8Array | undefined {
  const [head = 0, next = 0] = bytes;
  if (head >= 0x40 && head < 0x58) return bytes.length === 1 + head - 0x40 ? bytes.subarray(1) : undefined;
  return head === 0x58 && bytes.length === 2 + next ? bytes.subarray(2) : undefined;
}

function wrapped(bytes: Uint8Array): Uint8Array {
  return Buffer.concat([bytes.length < 24 ? Uint8Array.of(0x40 | bytes.length) : Uint8Array.of(0x58, bytes.length), bytes]);
}
