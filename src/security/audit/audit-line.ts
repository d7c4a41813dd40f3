// One line of the audit log. Lines are JSON text; each holds the SHA-256 of the line before it, so that none can be removed,
// changed or moved without breaking every line behind it. Three kinds: an entry, the key that seals, and a seal: a signature over
// the place in the chain, and by that over everything before.

import { createHash } from 'node:crypto';
import type { Actor, AuditEvent } from './audit.ts';

/** The hash that stands before the first line of a log. */
export const noHash = '0'.repeat(64);

type Place = {
  /** From 1, without gaps, over all kinds of line. */
  readonly seq: number;
  /** When it was written: ISO 8601, UTC. */
  readonly at: string;
  /** SHA-256 of the line before, lower-case hex. */
  readonly prev: string;
};

export type EntryLine = Place & { readonly type: 'entry' } & AuditEvent;
/** PEM of the certificate whose key makes the seals behind it, and of those above it below the root. */
export type KeyLine = Place & { readonly type: 'key'; readonly certificate: string; readonly chain: string };
/** `signature`: base64, over `sealedText`. */
export type SealLine = Place & { readonly type: 'seal'; readonly signature: string };
export type AuditLine = EntryLine | KeyLine | SealLine;

export const auditLimits = {
  /** Characters of a text that the caller gave. */
  text: 512,
  details: 24,
  /** Bytes of a line; keys with their chains are the longest. */
  line: 64 * 1024,
};

/** What a seal signs. */
export function sealedText({ seq, at, prev }: Place): Uint8Array {
  return Buffer.from(`heliograph audit seal 1\n${seq}\n${at}\n${prev}`);
}

export function hashOf(line: string): string {
  return createHash('sha256').update(line).digest('hex');
}

/** The event with every text cut, and nothing in it but what the type says. */
export function bounded(event: AuditEvent): AuditEvent {
  const { actor, action, target, from, outcome, details } = event;
  const kept = Object.entries(details ?? {}).slice(0, auditLimits.details);
  return {
    actor: boundedActor(actor),
    action: cut(action),
    target: cut(target),
    from: cut(from),
    outcome,
    ...(kept.length > 0 && {
      details: Object.fromEntries(kept.map(([key, fact]) => [cut(key), typeof fact === 'string' ? cut(fact) : fact])),
    }),
  };
}

function boundedActor(actor: Actor): Actor {
  switch (actor.kind) {
    case 'principal': {
      const { kind, tenant, id, method } = actor;
      return { kind, tenant: cut(tenant), id: cut(id), ...(method !== undefined && { method: cut(method) }) };
    }
    case 'stranger':
      return { kind: 'stranger', ...(actor.claimed !== undefined && { claimed: cut(actor.claimed) }) };
    case 'local':
    case 'node':
      return { kind: actor.kind };
  }
}

function cut(text: string): string {
  const whole = text.length <= auditLimits.text ? text : `${text.slice(0, auditLimits.text - 1)}…`;
  return whole.toWellFormed();
}

/** Undefined: the text is no line of an audit log. */
export function parseLine(text: string): AuditLine | undefined {
  let line: unknown;
  try {
    line = JSON.parse(text);
  } catch {
    return undefined;
  }
  if (typeof line !== 'object' || line === null) return undefined;
  const { seq, at, prev, type } = line as Partial<AuditLine>;
  const isPlaced = Number.isSafeInteger(seq) && typeof at === 'string' && !Number.isNaN(Date.parse(at)) && typeof prev === 'string';
  if (!isPlaced) return undefined;
  const texts = { entry: ['action', 'target', 'from', 'outcome'], key: ['certificate', 'chain'], seal: ['signature'] }[type ?? 'entry'];
  const isWhole = type !== undefined && texts?.every((name) => typeof (line as Record<string, unknown>)[name] === 'string') === true;
  if (!isWhole || (type === 'entry' && typeof (line as EntryLine).actor?.kind !== 'string')) return undefined;
  return line as AuditLine;
}

/** Who, in one word for people and filters. */
export function actorText(actor: Actor): string {
  switch (actor.kind) {
    case 'principal':
      return `${actor.tenant}/${actor.id}`;
    case 'stranger':
      return actor.claimed === undefined ? '(stranger)' : `(stranger: ${actor.claimed})`;
    case 'local':
      return '(local)';
    case 'node':
      return '(node)';
  }
}
