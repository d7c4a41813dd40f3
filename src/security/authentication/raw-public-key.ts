// Raw public keys (RFC 7250): the handshake has proved that the peer holds the key; here it is found whose key it is.

import { createHash, createPublicKey } from 'node:crypto';
import type { Entry } from '../../registry/entries.ts';
import type { LookUps, NowOrLater, Result } from '../../registry/registry.ts';
import type { Clock } from '../../base/clock.ts';
import type { Access, Credentials } from '../security.ts';
import type { Authenticator, Identity, Verdict } from './authenticator.ts';
import { whenKnown } from './now-or-later.ts';

export type RawPublicKey = {
  /** DER. */
  readonly spki: Uint8Array;
  /** SHA-256 of it, lower-case hex. */
  readonly hash: string;
  /** In words: `P-256`. */
  readonly algorithm: string;
};

const curves: Readonly<Record<string, string>> = { prime256v1: 'P-256', secp384r1: 'P-384', secp521r1: 'P-521' };

/** Reads a public key in PEM or DER (SubjectPublicKeyInfo); undefined: it is none, or of a kind that DTLS here does not take. */
export function rawPublicKey(given: string | Uint8Array): RawPublicKey | undefined {
  try {
    const isPem = typeof given === 'string' && given.includes('-----BEGIN');
    // createPublicKey would take a private key, too, and give its public half: nobody should hand that out.
    if (isPem && !given.includes('-----BEGIN PUBLIC KEY-----')) return undefined;
    const key = isPem
      ? createPublicKey(given)
      : createPublicKey({
          key: typeof given === 'string' ? Buffer.from(given, 'base64') : Buffer.from(given),
          format: 'der',
          type: 'spki',
        });
    const spki = key.export({ format: 'der', type: 'spki' });
    const curve = key.asymmetricKeyDetails?.namedCurve;
    const algorithm = key.asymmetricKeyType === 'ed25519' ? 'Ed25519' : curve && curves[curve];
    if (algorithm === undefined) return undefined;
    return { spki, hash: createHash('sha256').update(spki).digest('hex'), algorithm };
  } catch {
    return undefined;
  }
}

export function rawPublicKeyHandle(hash: string): string {
  return `rpk/${hash}`;
}

export class RawPublicKeyAuthenticator implements Authenticator {
  readonly method = 'raw-public-key';
  readonly #lookUps: LookUps;
  readonly #clock: Clock;

  constructor(lookUps: LookUps, clock: Clock) {
    this.#lookUps = lookUps;
    this.#clock = clock;
  }

  authenticate({ rawPublicKey: hash }: Credentials, answer: (verdict: Verdict) => void): void {
    if (hash === undefined) return answer({ kind: 'next' });
    const judged = whenKnown(this.#lookUps.credentialsByHandle(rawPublicKeyHandle(hash)), (found): Verdict => {
      if (!found.ok) return { kind: 'overloaded' };
      const entry = found.value.find(({ type }) => type === 'raw-public-key');
      if (entry === undefined) return { kind: 'refused', reason: 'unknown-key' };
      return verdictOf(entry, this.#clock);
    });
    if (!(judged instanceof Promise)) return answer(judged);
    judged.then(answer, () => answer({ kind: 'overloaded' }));
  }

  reassess(identity: Identity, _access: Access): NowOrLater<Identity | 'barred' | 'unknown'> {
    const owner = { kind: identity.kind as 'device', id: identity.id };
    return whenKnown(this.#lookUps.credentials(identity.tenant, owner), (found) => stillAmong(identity, found, this.#clock));
  }
}

/** What the entry proves of whoever has shown that it holds what the entry is about. */
export function verdictOf({ tenant, owner, id, secret, expiresAtMs }: Entry<'credential'>, clock: Clock): Verdict {
  if (expiresAtMs !== undefined && expiresAtMs <= clock.wallMs()) {
    return { kind: 'refused', reason: 'expired-key', account: `${tenant}/${owner.id}` };
  }
  const identity = { tenant, id: owner.id, kind: owner.kind, secret: proofOf(id, secret) };
  return { kind: 'proved', identity, ...(expiresAtMs !== undefined && { expiresAtMs }) };
}

export function stillAmong(
  identity: Identity,
  found: Result<readonly Entry<'credential'>[]>,
  clock: Clock,
): Identity | 'barred' | 'unknown' {
  if (!found.ok) return 'unknown';
  const still = found.value.some(
    ({ id, secret, expiresAtMs }) => proofOf(id, secret) === identity.secret && (expiresAtMs === undefined || expiresAtMs > clock.wallMs()),
  );
  return still ? identity : 'barred';
}

/** One that was removed and added again is another one. */
function proofOf(id: string, secret: string): string {
  return `${id} ${secret}`;
}
