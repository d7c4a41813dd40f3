// The files of an audit log: `<first sequence number>.jsonl`, each a stretch of the chain.

import { createReadStream } from 'node:fs';
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';

export type Segment = { readonly path: string; readonly firstSeq: number };

const digits = 12;
const segmentName = /^(\d{12})\.jsonl$/;

export function segmentPath(directory: string, firstSeq: number): string {
  return join(directory, `${String(firstSeq).padStart(digits, '0')}.jsonl`);
}

/** Oldest first. */
export async function segmentsOf(directory: string): Promise<Segment[]> {
  const names = (await readdir(directory)).filter((name) => segmentName.test(name)).sort();
  return names.map((name) => ({ path: join(directory, name), firstSeq: Number.parseInt(name, 10) }));
}

/** `whole`: it ends with a line feed, which the last line of a log that was cut short does not. */
export type RawLine = { readonly text: string; readonly whole: boolean; readonly endsAt: number };

/** The lines of a file. One longer than `maxBytes` is given in pieces, none of which is a line of a log. */
export async function* linesOf(path: string, maxBytes: number): AsyncGenerator<RawLine> {
  let rest: Buffer = Buffer.alloc(0);
  let endsAt = 0;
  for await (const chunk of createReadStream(path, { highWaterMark: 256 * 1024 })) {
    rest = rest.length === 0 ? (chunk as Buffer) : Buffer.concat([rest, chunk as Buffer]);
    let start = 0;
    for (let feed = rest.indexOf(10); feed !== -1; feed = rest.indexOf(10, start)) {
      endsAt += feed + 1 - start;
      yield { text: rest.toString('utf8', start, feed), whole: true, endsAt };
      start = feed + 1;
    }
    rest = rest.subarray(start);
    if (rest.length <= maxBytes) continue;
    endsAt += rest.length;
    yield { text: rest.toString('utf8'), whole: false, endsAt };
    rest = Buffer.alloc(0);
  }
  if (rest.length > 0) yield { text: rest.toString('utf8'), whole: false, endsAt: endsAt + rest.length };
}
