// What the audit log says: pages of entries, oldest first, and the whole of it for export.

import type { AuditHead, AuditQuery } from './audit.ts';
import { actorText, auditLimits, hashOf, noHash, parseLine } from './audit-line.ts';
import type { EntryLine } from './audit-line.ts';
import { linesOf, segmentsOf } from './segments.ts';

export async function* auditEntries(directory: string, query: AuditQuery): AsyncGenerator<EntryLine> {
  const { afterSeq = 0 } = query;
  const segments = await segmentsOf(directory);
  for (const [i, { path }] of segments.entries()) {
    const next = segments[i + 1];
    if (next !== undefined && next.firstSeq <= afterSeq + 1) continue;
    yield* entriesIn(path, query);
  }
}

async function* entriesIn(path: string, query: AuditQuery): AsyncGenerator<EntryLine> {
  const { afterSeq = 0, fromMs = -Infinity, untilMs = Infinity } = query;
  for await (const { text, whole } of linesOf(path, auditLimits.line)) {
    const line = whole ? parseLine(text) : undefined;
    if (line?.type !== 'entry' || line.seq <= afterSeq) continue;
    const atMs = Date.parse(line.at);
    // The clock may have been set back: what comes behind may be earlier again.
    if (atMs >= fromMs && atMs < untilMs && matches(line, query)) yield line;
  }
}

function matches(line: EntryLine, { action, target, actor, outcome }: AuditQuery): boolean {
  if (action !== undefined && !line.action.startsWith(action)) return false;
  if (target !== undefined && !line.target.startsWith(target)) return false;
  if (outcome !== undefined && line.outcome !== outcome) return false;
  return actor === undefined || actorText(line.actor) === actor;
}

export async function auditPage(
  directory: string,
  query: AuditQuery,
  limit: number,
): Promise<{ entries: EntryLine[]; next: number | undefined }> {
  const entries: EntryLine[] = [];
  for await (const entry of auditEntries(directory, query)) {
    if (entries.length === limit) return { entries, next: entries.at(-1)!.seq };
    entries.push(entry);
  }
  return { entries, next: undefined };
}

/** The newest entries, oldest of them first. */
export async function lastAuditEntries(directory: string, query: AuditQuery, count: number): Promise<EntryLine[]> {
  let found: EntryLine[] = [];
  for (const segment of (await segmentsOf(directory)).toReversed()) {
    const own: EntryLine[] = [];
    for await (const entry of entriesIn(segment.path, query)) {
      own.push(entry);
      if (own.length > 2 * count) own.splice(0, own.length - count);
    }
    found = [...own, ...found].slice(-count);
    if (found.length === count) break;
  }
  return found;
}

/** The last finished line. */
export async function auditHead(directory: string): Promise<AuditHead> {
  for (const { path } of (await segmentsOf(directory)).toReversed()) {
    let last: AuditHead | undefined;
    for await (const { text, whole } of linesOf(path, auditLimits.line)) {
      const line = whole ? parseLine(text) : undefined;
      if (line !== undefined) last = { seq: line.seq, hash: hashOf(text) };
    }
    if (last !== undefined) return last;
  }
  return { seq: 0, hash: noHash };
}
