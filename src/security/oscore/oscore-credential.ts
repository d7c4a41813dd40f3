// How a security context stands in the registry: the secret of its credential is a line of JSON with what is public, and the master
// secret and salt sealed; its handle is what requests show (kid and kid context), so that no two of a node can be mistaken.

import type { Entry, Owner } from '../../registry/entries.ts';
import type { SecretBox } from '../authentication/psk.ts';
import {
  aeadAlgorithm,
  aeadAlgorithms,
  hkdfAlgorithm,
  hkdfAlgorithms,
  maxIdBytes,
  type AeadAlgorithm,
  type HkdfAlgorithm,
} from './algorithms.ts';
import type { ContextInput } from './derivation.ts';

/** What is no secret. Ids are the node's: it sends with `senderId`, and knows the device by `recipientId`. Hex in lower case. */
export type OscoreFacts = {
  readonly algorithm: number;
  readonly hkdf: number;
  readonly senderId: string;
  readonly recipientId: string;
  readonly idContext: string | undefined;
  /** Messages that may overtake each other. */
  readonly windowSize: number;
  /** The device may ask for fresh keys with an id context of its own (RFC 8613 appendix B.2). */
  readonly rederivation: boolean;
};

export type OscoreSecrets = { readonly masterSecret: Uint8Array; readonly masterSalt: Uint8Array };

/** 128 bits: whoever hears messages can try secrets at leisure. */
export const minMasterSecretBytes = 16;
export const maxMasterSecretBytes = 64;
export const maxMasterSaltBytes = 64;
/** The most that fits into the option beside the rest, and RFC 8613 appendix B.2 asks for up to 24. */
export const maxIdContextBytes = 32;
const minWindow = 1;
const maxWindow = 1024;
/** RFC 8613 §7.4. */
export const defaultWindow = 32;
export const defaultAlgorithm: AeadAlgorithm = aeadAlgorithms[0]!;
export const defaultHkdf: HkdfAlgorithm = hkdfAlgorithms[0]!;

/** `oscore/<kid>/<kid context or ->`. */
export function oscoreHandle(kid: string, idContext: string | undefined): string {
  return `${kidHandle(kid)}/${idContext === undefined ? '-' : `.${idContext}`}`;
}

/** Finds all contexts with this kid. */
export function kidHandle(kid: string): string {
  return `oscore/.${kid}`;
}

/** What is wrong, with the field; undefined: nothing. */
export function oscoreFault(facts: OscoreFacts, secrets: OscoreSecrets): { readonly field: string; readonly what: string } | undefined {
  const algorithm = aeadAlgorithm(facts.algorithm);
  if (algorithm === undefined) return { field: 'algorithm', what: `must be one of ${aeadAlgorithms.map(({ name }) => name).join(', ')}` };
  if (hkdfAlgorithm(facts.hkdf) === undefined)
    return { field: 'hkdf', what: `must be one of ${hkdfAlgorithms.map(({ name }) => name).join(', ')}` };
  const most = maxIdBytes(algorithm);
  for (const field of ['senderId', 'recipientId'] as const) {
    if (facts[field].length > 2 * most) return { field, what: `has more than ${most} bytes, the most for ${algorithm.name}` };
  }
  // RFC 8613 §3.3: or else both would use the same key and nonces.
  if (facts.senderId === facts.recipientId) return { field: 'senderId', what: 'must be another one than recipientId' };
  if ((facts.idContext ?? '').length > 2 * maxIdContextBytes)
    return { field: 'idContext', what: `has more than ${maxIdContextBytes} bytes` };
  if (facts.windowSize < minWindow || facts.windowSize > maxWindow) {
    return { field: 'windowSize', what: `must be ${minWindow} to ${maxWindow}` };
  }
  const { masterSecret, masterSalt } = secrets;
  if (masterSecret.length < minMasterSecretBytes || masterSecret.length > maxMasterSecretBytes) {
    return { field: 'masterSecret', what: `must have ${minMasterSecretBytes} to ${maxMasterSecretBytes} bytes` };
  }
  if (masterSalt.length > maxMasterSaltBytes) return { field: 'masterSalt', what: `has more than ${maxMasterSaltBytes} bytes` };
  return undefined;
}

/** The secret of the credential. `facts` and `secrets` without fault. */
export function oscoreCredential(facts: OscoreFacts, secrets: OscoreSecrets, box: SecretBox, tenant: string, owner: Owner): string {
  const { masterSecret, masterSalt } = secrets;
  const plain = Buffer.concat([Uint8Array.of(masterSecret.length), masterSecret, masterSalt]);
  const sealed = box.seal(plain, placeOf(tenant, owner, facts));
  plain.fill(0);
  return JSON.stringify({ ...facts, sealed: Buffer.from(sealed).toString('base64') });
}

/** Undefined: it was not made by `oscoreCredential`. */
export function oscoreFacts({ type, secret }: Pick<Entry<'credential'>, 'type' | 'secret'>): OscoreFacts | undefined {
  if (type !== 'oscore') return undefined;
  try {
    const { sealed: _, ...facts } = JSON.parse(secret) as OscoreFacts & { readonly sealed: string };
    return { ...facts, idContext: facts.idContext };
  } catch {
    return undefined;
  }
}

/** Undefined: it was not sealed on this system, or for another owner or other ids. */
export function openOscore({ tenant, owner, ...entry }: Entry<'credential'>, box: SecretBox): ContextInput | undefined {
  const facts = oscoreFacts(entry);
  if (facts === undefined) return undefined;
  const algorithm = aeadAlgorithm(facts.algorithm);
  const hkdf = hkdfAlgorithm(facts.hkdf);
  const { sealed } = JSON.parse(entry.secret) as { readonly sealed: string };
  const plain = box.unseal(Buffer.from(sealed, 'base64'), placeOf(tenant, owner, facts));
  if (plain === undefined || algorithm === undefined || hkdf === undefined) return undefined;
  const secretEnd = 1 + plain[0]!;
  return {
    algorithm,
    hkdf,
    masterSecret: plain.slice(1, secretEnd),
    masterSalt: plain.slice(secretEnd),
    senderId: Buffer.from(facts.senderId, 'hex'),
    recipientId: Buffer.from(facts.recipientId, 'hex'),
    idContext: facts.idContext === undefined ? undefined : Buffer.from(facts.idContext, 'hex'),
  };
}

/** Everything that the keys are made of is bound to the secret: who can write the registry alone cannot turn it into another context. */
function placeOf(tenant: string, { kind, id }: Owner, { algorithm, hkdf, senderId, recipientId, idContext }: OscoreFacts): string {
  return `oscore/${tenant}/${kind}/${id}/${algorithm}/${hkdf}/${senderId}/${recipientId}/${idContext ?? '-'}`;
}
