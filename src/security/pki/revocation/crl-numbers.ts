// The numbers of the lists that were issued (RFC 5280 §5.2.3), kept so that they never go back, whatever the clock does.

import { readFile } from 'node:fs/promises';
import { writePrivateFile } from '../../../base/private-file.ts';

export type CrlMark = {
  /** Of the last list. */
  readonly number: number;
  /** When the last regular one was issued: what had expired by then has been on it. */
  readonly regularMs: number;
};

export interface CrlNumbers {
  get(authorityId: string): CrlMark | undefined;
  /** Resolves when it will not be forgotten. */
  set(authorityId: string, mark: CrlMark): Promise<void>;
}

export class CrlNumbersFile implements CrlNumbers {
  readonly #path: string;
  readonly #marks: Map<string, CrlMark>;
  #writing: Promise<void> = Promise.resolve();

  private constructor(path: string, marks: Map<string, CrlMark>) {
    this.#path = path;
    this.#marks = marks;
  }

  /** What cannot be read is as if it were not there: numbers go by the clock then, and regular lists say everything once more. */
  static async open(path: string): Promise<CrlNumbersFile> {
    return new CrlNumbersFile(path, marksIn(await readFile(path, 'utf8').catch(() => '{}')));
  }

  get(authorityId: string): CrlMark | undefined {
    return this.#marks.get(authorityId);
  }

  set(authorityId: string, mark: CrlMark): Promise<void> {
    this.#marks.set(authorityId, mark);
    const write = (): Promise<void> => writePrivateFile(this.#path, `${JSON.stringify(Object.fromEntries(this.#marks), undefined, 2)}\n`);
    this.#writing = this.#writing.then(write, write);
    return this.#writing;
  }
}

function marksIn(text: string): Map<string, CrlMark> {
  const marks = new Map<string, CrlMark>();
  try {
    for (const [id, mark] of Object.entries(JSON.parse(text) as Record<string, CrlMark>)) {
      if (Number.isSafeInteger(mark.number) && Number.isSafeInteger(mark.regularMs)) marks.set(id, mark);
    }
  } catch {
    // Nothing of it can be trusted.
  }
  return marks;
}
