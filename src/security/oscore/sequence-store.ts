// What must be known of a context's numbers after a restart, so that no nonce is used twice and nothing is accepted twice
// (RFC 8613 §7.5, appendix B.1). Kept by the fingerprint of the keys: who removes a context and adds it again goes on counting.
//
// A file of lines; the last line of a fingerprint counts. Lines of one moment are written and synced together, in another thread.
// The file is written anew when it opens, and when most of its lines are old.
//
// A copy of the file is behind the numbers of its original as soon as that goes on. So a backup gets a file that is far ahead of it
// (`numbersForBackup`): whoever goes on from there uses no number that the original may have used, and asks for proof that requests are new.

import { open, readFile, type FileHandle } from 'node:fs/promises';
import { dirname } from 'node:path';
import { crc32 } from 'node:zlib';
import { makePrivateDirectory, writePrivateFile } from '../../base/private-file.ts';
import { UserError } from '../../base/user-error.ts';
import { lastSequence } from './derivation.ts';

export type SequenceState = {
  /** Every number sent is below. */
  readonly sentBelow: number;
  /** Every number accepted is below. */
  readonly acceptedBelow: number;
  /** The window as it was when it was put away; absent: it was in use, so a crash has lost it. */
  readonly window?: { readonly newest: number; readonly seen: string };
};

export interface SequenceStore {
  get(fingerprint: string): SequenceState | undefined;
  /** Known to `get` at once; durable when the promise is kept. Rejects when it cannot be written. */
  put(fingerprint: string, state: SequenceState): Promise<void>;
  close(): Promise<void>;
}

/** Nothing outlives it: for tests and the simulator, which end a process by dropping what is not durable. */
export class MemorySequenceStore implements SequenceStore {
  readonly states = new Map<string, SequenceState>();

  get(fingerprint: string): SequenceState | undefined {
    return this.states.get(fingerprint);
  }

  put(fingerprint: string, state: SequenceState): Promise<void> {
    this.states.set(fingerprint, state);
    return Promise.resolve();
  }

  close(): Promise<void> {
    return Promise.resolve();
  }
}

const minLinesToRewrite = 4096;
/** By how much a backup is ahead. Of 2^40 numbers; no device sends so many until somebody needs the backup. */
const backupAhead = 2 ** 32;

/** `floor`: where those begin of which nothing is known. */
type Numbers = { readonly states: Map<string, SequenceState>; readonly floor: number };

type Waiting = { readonly lines: string[]; readonly done: PromiseWithResolvers<void> };

export class SequenceFile implements SequenceStore {
  readonly #path: string;
  readonly #states: Map<string, SequenceState>;
  readonly #floor: number;
  #file: FileHandle;
  #lines: number;
  #waiting: Waiting | undefined;
  #writing: Promise<void> | undefined;
  #failure: Error | undefined;

  private constructor(path: string, { states, floor }: Numbers, file: FileHandle) {
    this.#path = path;
    this.#states = states;
    this.#floor = floor;
    this.#file = file;
    this.#lines = states.size;
  }

  /** @throws UserError when the file holds what was never written to it */
  static async open(path: string): Promise<SequenceFile> {
    await makePrivateDirectory(dirname(path));
    const numbers = parse(path, await textOf(path));
    await writePrivateFile(path, wholeText(numbers));
    return new SequenceFile(path, numbers, await open(path, 'a'));
  }

  get(fingerprint: string): SequenceState | undefined {
    return this.#states.get(fingerprint) ?? (this.#floor > 0 ? { sentBelow: this.#floor, acceptedBelow: this.#floor } : undefined);
  }

  put(fingerprint: string, state: SequenceState): Promise<void> {
    if (this.#failure !== undefined) return Promise.reject(this.#failure);
    this.#states.set(fingerprint, state);
    this.#waiting ??= { lines: [], done: Promise.withResolvers<void>() };
    this.#waiting.lines.push(lineOf(fingerprint, state));
    const { promise } = this.#waiting.done;
    this.#writing ??= this.#write();
    return promise;
  }

  async #write(): Promise<void> {
    // What else is put in this turn goes along.
    await Promise.resolve();
    for (let batch = this.#waiting; batch !== undefined; batch = this.#waiting) {
      this.#waiting = undefined;
      try {
        if (this.#failure !== undefined) throw this.#failure;
        await this.#append(batch.lines);
        batch.done.resolve();
      } catch (error) {
        // Half a line may stand there: nothing may follow it, and nobody may rely on what was to be written.
        this.#failure = error as Error;
        batch.done.reject(error as Error);
      }
    }
    this.#writing = undefined;
  }

  async #append(lines: readonly string[]): Promise<void> {
    if (this.#lines + lines.length > Math.max(minLinesToRewrite, 4 * this.#states.size)) {
      const text = wholeText({ states: this.#states, floor: this.#floor });
      this.#lines = this.#states.size;
      await this.#file.close();
      await writePrivateFile(this.#path, text);
      this.#file = await open(this.#path, 'a');
      return;
    }
    this.#lines += lines.length;
    await this.#file.appendFile(lines.join(''));
    await this.#file.datasync();
  }

  async close(): Promise<void> {
    await this.#writing;
    this.#failure ??= new Error('the store is closed');
    await this.#file.close().catch(() => {});
  }
}

async function textOf(path: string): Promise<string> {
  try {
    return await readFile(path, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return '';
    throw error;
  }
}

/** What a backup gets in place of the file with this text. @throws UserError when it is damaged */
export function numbersForBackup(path: string, text: string): string {
  const { states, floor } = parse(path, text);
  const ahead = (number: number): number => Math.min(number + backupAhead, lastSequence + 1);
  const moved = [...states].map(([fingerprint, { sentBelow, acceptedBelow }]) => {
    return [fingerprint, { sentBelow: ahead(sentBelow), acceptedBelow: ahead(acceptedBelow) }] as const;
  });
  return wholeText({ states: new Map(moved), floor: ahead(floor) });
}

function wholeText({ states, floor }: Numbers): string {
  const head = floor > 0 ? summed(`floor ${floor}`) : '';
  return head + [...states].map(([fingerprint, state]) => lineOf(fingerprint, state)).join('');
}

function lineOf(fingerprint: string, { sentBelow, acceptedBelow, window }: SequenceState): string {
  const fields = [fingerprint, sentBelow, acceptedBelow, ...(window === undefined ? [] : [window.newest, `.${window.seen}`])].join(' ');
  return summed(fields);
}

function summed(fields: string): string {
  return `${sumOf(fields)} ${fields}\n`;
}

function sumOf(fields: string): string {
  return crc32(fields).toString(16).padStart(8, '0');
}

const line = /^([0-9a-f]{8}) (([0-9a-f]{32}) (\d{1,16}) (\d{1,16})(?: (-1|\d{1,16}) \.([01]*))?)$/;
const floorLine = /^([0-9a-f]{8}) (floor (\d{1,16}))$/;

function parse(path: string, text: string): Numbers {
  let floor = 0;
  const states = new Map<string, SequenceState>();
  const lines = text.split('\n');
  // Behind the last line feed stands nothing, or what a crash has left of a line.
  lines.pop();
  for (const [i, each] of lines.entries()) {
    const head = i === 0 ? floorLine.exec(each) : null;
    if (head !== null && sumOf(head[2]!) === head[1]) {
      floor = Number(head[3]);
      continue;
    }
    const [, sum, fields, fingerprint, sent, accepted, newest, seen] = line.exec(each) ?? [];
    if (fields === undefined || sumOf(fields) !== sum) {
      throw new UserError('The sequence numbers of OSCORE are damaged.', {
        where: `${path}, line ${i + 1}`,
        fix: 'renew the OSCORE contexts of all devices, then remove the file; without its numbers, what was sent could be decrypted',
      });
    }
    const window = newest === undefined ? {} : { window: { newest: Number(newest), seen: seen! } };
    states.set(fingerprint!, { sentBelow: Number(sent), acceptedBelow: Number(accepted), ...window });
  }
  return { states, floor };
}
