// Pre-shared keys (TLS 1.2: RFC 4279, RFC 5489; TLS 1.3: RFC 8446 §4.2.11), for devices that cannot afford certificates. The
// proof is the handshake itself; here keys are found for it, and afterwards it is asked whose the key was.
//
// TLS asks for the key and waits for nothing. The embedded registry answers at once. Where a server has to be asked, the first
// handshake of a device that is not in the look-up cache fails, and fetches what the next one finds.

import { createHash } from 'node:crypto';
import type { MetricSource, Sample } from '../../base/metrics.ts';
import { parseAccount } from '../../message/names.ts';
import type { Owner } from '../../registry/entries.ts';
import type { NowOrLater } from '../../registry/registry.ts';
import type { Access, Credentials } from '../security.ts';
import type { Account, Accounts } from './accounts.ts';
import type { Authenticator, Identity, Verdict } from './authenticator.ts';
import { stillThere } from './password.ts';

/** Keeps keys so that only this system can read them. */
export type SecretBox = {
  seal(plain: Uint8Array, place: string): Uint8Array;
  /** Undefined: it was not sealed here, or for another place. */
  unseal(sealed: Uint8Array, place: string): Uint8Array | undefined;
  /** A value for a text that only this system can make, and always makes the same: 32 bytes. */
  mark(text: string): Uint8Array;
};

/** 128 bits: whoever watches a handshake of TLS 1.2 without ECDHE can try keys at leisure. */
export const minPskBytes = 16;
/** RFC 4279 §5.3: at least so long must be taken. */
export const maxPskBytes = 64;
/** RFC 4279 §5.3. */
const maxIdentityBytes = 128;

/** The secret of a credential of type psk. @throws RangeError when the key is shorter or longer than one may be */
export function pskCredential(key: Uint8Array, box: SecretBox, tenant: string, owner: Owner): string {
  if (key.length < minPskBytes || key.length > maxPskBytes) throw new RangeError(`a key has ${minPskBytes} to ${maxPskBytes} bytes`);
  return Buffer.from(box.seal(key, placeOf(tenant, owner))).toString('base64');
}

function placeOf(tenant: string, { kind, id }: Owner): string {
  return `psk/${tenant}/${kind}/${id}`;
}

/** What the listeners ask for. */
export interface PskKeys {
  /** For `tenant/name` or `name`. Undefined: it cannot be one of ours, and TLS may look for another way. */
  pskKey(identity: string): Uint8Array | undefined;
  /** The same for DTLS, which waits. Never rejects. */
  pskKeyLater(identity: string): NowOrLater<Uint8Array | undefined>;
  /** A handshake failed because the peer had another key. */
  pskRefused(origin: { readonly listener: string; readonly remoteAddress: string }): void;
}

export class PskAuthenticator implements Authenticator, Pick<PskKeys, 'pskKey' | 'pskKeyLater'>, MetricSource {
  readonly method = 'psk';
  readonly #accounts: Accounts;
  readonly #box: SecretBox;
  readonly #counts = { found: 0, unknown: 0, late: 0 };

  constructor(accounts: Accounts, box: SecretBox) {
    this.#accounts = accounts;
    this.#box = box;
  }

  pskKey(identity: string): Uint8Array | undefined {
    const key = this.pskKeyLater(identity);
    if (!(key instanceof Promise)) return key;
    this.#counts.late++;
    return undefined;
  }

  pskKeyLater(identity: string): NowOrLater<Uint8Array | undefined> {
    // TLS 1.3 offers old tickets in the same place: they are no names, and must not end the handshake.
    if (Buffer.byteLength(identity) > maxIdentityBytes || identity.includes('\ufffd')) return undefined;
    const named = parseAccount(identity);
    if (named === undefined) return undefined;
    const found = this.#accounts.find(named.tenant, named.name, 'psk');
    if (!(found instanceof Promise)) return this.#keyIn(found, named);
    return found.then(
      (account) => this.#keyIn(account, named),
      () => this.#keyIn('unavailable', named),
    );
  }

  #keyIn(found: Account | undefined | 'unavailable', named: { readonly tenant: string; readonly name: string }): Uint8Array {
    const key = found === undefined || found === 'unavailable' ? undefined : this.#open(found, named.tenant);
    if (key === undefined) this.#counts.unknown++;
    else this.#counts.found++;
    // A stranger fails at the same place as who has a wrong key (RFC 4279 §2).
    return key ?? this.#box.mark(`psk ${named.tenant}/${named.name}`);
  }

  #open({ owner, secrets }: Account, tenant: string): Uint8Array | undefined {
    return owner && this.#box.unseal(Buffer.from(secrets[0]!.text, 'base64'), placeOf(tenant, owner));
  }

  #isKeyOf(found: Account, tenant: string, hash: string): boolean {
    const key = this.#open(found, tenant);
    return key !== undefined && createHash('sha256').update(key).digest('hex') === hash;
  }

  authenticate({ pskIdentity, pskKeyHash }: Credentials, answer: (verdict: Verdict) => void): void {
    const named = pskIdentity === undefined ? undefined : parseAccount(pskIdentity);
    if (named === undefined) return answer({ kind: 'next' });
    const judge = (found: Account | undefined | 'unavailable'): Verdict => {
      if (found === 'unavailable') return { kind: 'overloaded' };
      if (found === undefined) return { kind: 'refused', reason: 'key-removed' };
      // A session of DTLS outlives changes of its key; what was proved by the old one is worth nothing then.
      if (pskKeyHash !== undefined && !this.#isKeyOf(found, named.tenant, pskKeyHash)) return { kind: 'refused', reason: 'key-changed' };
      const { text: secret, expiresAtMs } = found.secrets[0]!;
      return { kind: 'proved', identity: { ...found.identity, secret }, ...(expiresAtMs !== undefined && { expiresAtMs }) };
    };
    const found = this.#accounts.find(named.tenant, named.name, 'psk');
    if (!(found instanceof Promise)) return answer(judge(found));
    found.then(
      (account) => answer(judge(account)),
      () => answer({ kind: 'overloaded' }),
    );
  }

  reassess(identity: Identity, _access: Access): NowOrLater<Identity | 'barred' | 'unknown'> {
    return stillThere(identity, this.#accounts.find(identity.tenant, identity.id, 'psk'));
  }

  *metrics(): Iterable<Sample> {
    const help = 'Pre-shared keys that TLS asked for: found, unknown, or late because a server had to be asked.';
    for (const [result, value] of Object.entries(this.#counts)) {
      yield { name: 'heliograph_security_psk_lookups_total', help, type: 'counter', labels: { result }, value };
    }
  }
}
