// The audit log of a node: appends, syncs and seals. Callers never wait: what they record stands in memory until the next write,
// some milliseconds later. A write that fails is tried again; what does not fit into memory meanwhile is counted, and the log
// itself says how much it lost.

import { mkdir, open, rm } from 'node:fs/promises';
import type { FileHandle } from 'node:fs/promises';
import type { Clock } from '../../base/clock.ts';
import type { Log } from '../../base/log.ts';
import type { MetricSource, Sample } from '../../base/metrics.ts';
import { UserError } from '../../base/user-error.ts';
import type { Signer } from '../pki/pki.ts';
import type { Audit, AuditEvent, AuditHead } from './audit.ts';
import { type AuditLine, auditLimits, bounded, hashOf, noHash, parseLine, sealedText } from './audit-line.ts';
import { linesOf, segmentPath, segmentsOf } from './segments.ts';

export type AuditLogOptions = {
  readonly directory: string;
  /** A file that has grown to this is ended, and another one begun. */
  readonly segmentBytes: number;
  /** At most this long after an entry a seal is written. */
  readonly sealMs: number;
  /** Entries in memory that are not written yet; beyond it they are lost, counted. */
  readonly maxPending: number;
  /** Files all of whose entries are older are removed; 0: never. */
  readonly retentionMs: number;
};

export type AuditKey = { readonly signer: Signer; readonly certificate: string; readonly chain: string };

export type AuditSink = (line: Extract<AuditLine, { type: 'entry' }>) => void;

type Services = { readonly clock: Clock; readonly log: Log };

const retryMs = 1000;

/** @throws UserError when the directory or its last file cannot be used */
export async function openAuditLog(options: AuditLogOptions, services: Services): Promise<AuditLog> {
  await mkdir(options.directory, { recursive: true, mode: 0o700 });
  const last = (await segmentsOf(options.directory)).at(-1);
  if (last === undefined) return new AuditLog(options, services, { seq: 0, hash: noHash }, undefined);
  let head: AuditHead | undefined;
  let goodBytes = 0;
  let torn = 0;
  for await (const { text, whole, endsAt } of linesOf(last.path, auditLimits.line)) {
    const line = whole ? parseLine(text) : undefined;
    if (line === undefined) {
      torn = endsAt - goodBytes;
      // Only the end of the last file can be unfinished: what comes before was synced. Anything else is not ours to repair.
      if (whole) throw damaged(last.path, endsAt);
      continue;
    }
    if (torn > 0) throw damaged(last.path, goodBytes);
    head = { seq: line.seq, hash: hashOf(text) };
    goodBytes = endsAt;
  }
  // A file without a line: begun, and cut short before its first line was written.
  head ??= await headBefore(options.directory, last.firstSeq);
  const log = new AuditLog(options, services, head, { path: last.path, bytes: goodBytes });
  if (torn > 0) {
    const event = {
      actor: { kind: 'node' },
      action: 'audit.repair',
      target: '',
      from: '',
      outcome: 'done',
      details: { bytes: torn },
    } as const;
    log.record(event);
    services.log.warn('audit.tail.repaired', { path: last.path, bytes: torn });
  }
  return log;
}

async function headBefore(directory: string, firstSeq: number): Promise<AuditHead> {
  const before = (await segmentsOf(directory)).findLast((segment) => segment.firstSeq < firstSeq);
  if (before === undefined) return { seq: 0, hash: noHash };
  let text = '';
  for await (const line of linesOf(before.path, auditLimits.line)) text = line.text;
  const line = parseLine(text);
  if (line === undefined) throw damaged(before.path, 0);
  return { seq: line.seq, hash: hashOf(text) };
}

function damaged(path: string, at: number): UserError {
  return new UserError('The audit log is damaged: its last file holds what is no line of it.', {
    where: `${path}, byte ${at}`,
    fix: 'keep a copy and look into it ("heliograph audit verify --dir …"); then move the directory away, so that a new log begins',
  });
}

export class AuditLog implements Audit, MetricSource {
  readonly directory: string;
  readonly #options: AuditLogOptions;
  readonly #clock: Clock;
  readonly #log: Log;
  readonly #sinks: AuditSink[] = [];
  #pending: { readonly event: AuditEvent; readonly at: string }[] = [];
  #lost = 0;
  /** Files to be removed when the entry that says so is on the disk, and signed. */
  readonly #removable: string[] = [];
  #head: AuditHead;
  #segment: { readonly path: string; bytes: number } | undefined;
  #file: FileHandle | undefined;
  #key: AuditKey | undefined;
  /** The current file names the key that seals. */
  #keyIsNamed = false;
  #unsealed = 0;
  #sealDue = false;
  #sealTimer: NodeJS.Timeout | undefined;
  #writing: Promise<void> | undefined;
  #failure: string | undefined;
  /** Who waits until it is written, or cannot be. */
  readonly #waiting: (() => void)[] = [];
  /** Ends the wait after a write that failed. */
  #tryNow = (): void => {};
  #closed = false;
  readonly #counts = { entries: 0, lost: 0, seals: 0, failures: 0 };

  /** Use openAuditLog. */
  constructor(options: AuditLogOptions, { clock, log }: Services, head: AuditHead, segment: { path: string; bytes: number } | undefined) {
    this.directory = options.directory;
    this.#options = options;
    this.#clock = clock;
    this.#log = log;
    this.#head = head;
    this.#segment = segment;
    // What an earlier run left unsealed is sealed by this one.
    this.#unsealed = segment === undefined ? 0 : 1;
  }

  get head(): AuditHead {
    return this.#head;
  }

  /** Why entries are not reaching the disk; undefined when they are. */
  get failure(): string | undefined {
    return this.#failure;
  }

  record(event: AuditEvent): void {
    if (this.#closed || this.#pending.length >= this.#options.maxPending) {
      this.#lost++;
      this.#counts.lost++;
      return;
    }
    this.#pending.push({ event: bounded(event), at: new Date(this.#clock.wallMs()).toISOString() });
    this.#write();
  }

  /** Seals are made with this key from now on. */
  useKey(key: AuditKey | undefined): void {
    if (this.#key?.certificate === key?.certificate) return;
    this.#key = key;
    this.#keyIsNamed = false;
    this.#armSeal();
  }

  /** Is told of every entry once it is on the disk. Returns how to stop. */
  subscribe(sink: AuditSink): () => void {
    this.#sinks.push(sink);
    return () => void this.#sinks.splice(this.#sinks.indexOf(sink), 1);
  }

  /** Resolves when what has been recorded so far is on the disk, or cannot be written. */
  async flushed(): Promise<void> {
    while (this.#writing !== undefined && this.#failure === undefined) {
      await Promise.race([this.#writing, new Promise<void>((resolve) => this.#waiting.push(resolve))]);
    }
  }

  /** Writes and seals what is left; `failure` says when that could not be. */
  async close(): Promise<void> {
    if (this.#closed) return;
    await this.flushed();
    this.#closed = true;
    clearTimeout(this.#sealTimer);
    this.#sealDue = this.#unsealed > 0;
    this.#write();
    this.#tryNow();
    await this.#writing;
    await this.#file?.close();
    this.#file = undefined;
  }

  #write(): void {
    this.#writing ??= this.#drain().finally(() => {
      this.#writing = undefined;
      this.#letGo();
    });
  }

  #letGo(): void {
    for (const resolve of this.#waiting.splice(0)) resolve();
  }

  async #drain(): Promise<void> {
    // Gathers what the rest of this turn still records into one write.
    await new Promise((resolve) => setImmediate(resolve));
    while (this.#pending.length > 0 || this.#sealDue) {
      try {
        await this.#writeBatch();
        if (this.#failure !== undefined) this.#log.info('audit.write.resumed');
        this.#failure = undefined;
      } catch (error) {
        this.#counts.failures++;
        if (this.#failure === undefined) this.#log.error('audit.write.failed', { error: (error as Error).message });
        this.#failure = (error as Error).message;
        this.#letGo();
        if (this.#closed) return;
        await new Promise<void>((resolve) => {
          this.#tryNow = resolve;
          setTimeout(resolve, retryMs).unref();
        });
      }
    }
  }

  /** On an error nothing has changed, but for the file, whose end is cut off before the next try. */
  async #writeBatch(): Promise<void> {
    const batch = this.#pending.slice();
    const lost = this.#lost;
    let head = this.#head;
    const lines: { readonly text: string; readonly entry: Extract<AuditLine, { type: 'entry' }> | undefined }[] = [];
    const add = (fields: { type: AuditLine['type'] } & Record<string, unknown>, at: string): void => {
      const line = { seq: head.seq + 1, at, prev: head.hash, ...fields } as unknown as AuditLine;
      const text = JSON.stringify(line);
      lines.push({ text, entry: line.type === 'entry' ? line : undefined });
      head = { seq: line.seq, hash: hashOf(text) };
    };
    for (const { event, at } of batch) add({ type: 'entry', ...event }, at);
    const now = new Date(this.#clock.wallMs()).toISOString();
    if (lost > 0) {
      const event = { actor: { kind: 'node' }, action: 'audit.lose', target: '', from: '', outcome: 'failed', details: { entries: lost } };
      add({ type: 'entry', ...event }, now);
    }
    const isFull = (this.#segment?.bytes ?? 0) >= this.#options.segmentBytes;
    const key = this.#sealDue || isFull ? this.#key : undefined;
    let signature: Uint8Array | undefined;
    if (key !== undefined) {
      if (!this.#keyIsNamed) add({ type: 'key', certificate: key.certificate, chain: key.chain }, now);
      signature = await this.#sign(key.signer, sealedText({ seq: head.seq + 1, at: now, prev: head.hash }));
      if (signature !== undefined) add({ type: 'seal', signature: Buffer.from(signature).toString('base64') }, now);
    }
    // Only what is signed proves that they went by right.
    const removable = signature !== undefined || this.#key === undefined ? this.#removable.slice() : [];
    await this.#append(lines.map(({ text }) => `${text}\n`).join(''));
    this.#pending.splice(0, batch.length);
    this.#lost -= lost;
    this.#head = head;
    this.#counts.entries += batch.length + (lost > 0 ? 1 : 0);
    // Another one may have come meanwhile.
    this.#keyIsNamed ||= key !== undefined && key === this.#key;
    this.#afterWrite(batch.length, signature !== undefined);
    for (const { entry } of lines) if (entry !== undefined) for (const sink of this.#sinks) sink(entry);
    for (const path of removable) await rm(path, { force: true });
    this.#removable.splice(0, removable.length);
    if (isFull) await this.#endSegment();
  }

  /** Entries do not wait for a key that cannot be used now: they are sealed later. */
  async #sign(signer: Signer, text: Uint8Array): Promise<Uint8Array | undefined> {
    try {
      return await signer.sign(text);
    } catch (error) {
      this.#log.warn('audit.seal.failed', { error: (error as Error).message });
      return undefined;
    }
  }

  #afterWrite(entries: number, sealed: boolean): void {
    this.#unsealed = sealed ? 0 : this.#unsealed + entries;
    if (sealed) this.#counts.seals++;
    this.#sealDue = false;
    this.#armSeal();
  }

  #armSeal(): void {
    if (this.#unsealed === 0 || this.#key === undefined || this.#sealTimer !== undefined || this.#closed) return;
    this.#sealTimer = setTimeout(() => {
      this.#sealTimer = undefined;
      this.#sealDue = this.#unsealed > 0;
      if (this.#sealDue) this.#write();
    }, this.#options.sealMs).unref();
  }

  async #append(text: string): Promise<void> {
    this.#segment ??= { path: segmentPath(this.directory, this.#head.seq + 1), bytes: 0 };
    this.#file ??= await open(this.#segment.path, 'a', 0o600);
    // What a write that failed has left behind.
    await this.#file.truncate(this.#segment.bytes);
    await this.#file.appendFile(text);
    await this.#file.datasync();
    this.#segment.bytes += Buffer.byteLength(text);
  }

  async #endSegment(): Promise<void> {
    await this.#file?.close();
    this.#file = undefined;
    this.#segment = undefined;
    this.#keyIsNamed = false;
    await this.#removeOld().catch((error: unknown) => this.#log.warn('audit.expire.failed', { error: (error as Error).message }));
  }

  /** What is removed is written down, so that the log can still be proved whole from there on. */
  async #removeOld(): Promise<void> {
    if (this.#options.retentionMs === 0) return;
    const beforeMs = this.#clock.wallMs() - this.#options.retentionMs;
    const segments = await segmentsOf(this.directory);
    for (const [i, { path }] of segments.entries()) {
      const next = segments[i + 1];
      if (next === undefined) return;
      if (this.#removable.includes(path)) continue;
      let last: string | undefined;
      for await (const { text } of linesOf(path, auditLimits.line)) last = text;
      const line = last === undefined ? undefined : parseLine(last);
      if (line === undefined || Date.parse(line.at) >= beforeMs) return;
      this.record({
        actor: { kind: 'node' },
        action: 'audit.expire',
        target: '',
        from: '',
        outcome: 'done',
        details: { throughSeq: line.seq, hash: hashOf(last!) },
      });
      this.#removable.push(path);
    }
  }

  *metrics(): Iterable<Sample> {
    const one = (name: string, type: 'counter' | 'gauge', help: string, value: number): Sample => ({
      name: `heliograph_audit_${name}`,
      help,
      type,
      value,
    });
    yield one('entries_total', 'counter', 'Entries written to the audit log.', this.#counts.entries);
    yield one('seals_total', 'counter', 'Signatures written to the audit log.', this.#counts.seals);
    yield one('lost_entries_total', 'counter', 'Entries lost because the log could not be written for too long.', this.#counts.lost);
    yield one('write_failures_total', 'counter', 'Writes of the audit log that failed and were tried again.', this.#counts.failures);
    yield one('pending_entries', 'gauge', 'Entries that are not on the disk yet.', this.#pending.length);
    yield one('unsealed_entries', 'gauge', 'Entries written since the last seal.', this.#unsealed);
  }
}
