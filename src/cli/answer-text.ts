// What commands print of the API's answers: one JSON document, or words and tables.

import type { ApiAnswer } from './api-client.ts';
import { visible } from './visible.ts';

export type Json = { readonly json?: boolean };

/** Says what was done, or that it waits for a second person; `secret` stands at the end of the line, to be copied. */
export function tell(options: Json, answer: Pick<ApiAnswer<unknown>, 'status' | 'body'>, words: string, secret?: string): void {
  if (answer.status === 202) return tellPending(options, answer.body as { readonly id: string });
  process.stdout.write(
    options.json === true
      ? `${JSON.stringify(answer.body ?? {})}\n`
      : `${visible(words, '\n')}.${secret === undefined ? '' : ` ${visible(secret, '\n')}`}\n`,
  );
}

function tellPending(options: Json, approval: { readonly id: string }): void {
  if (options.json === true) process.stdout.write(`${JSON.stringify({ approval })}\n`);
  else process.stdout.write(`It waits for a second person: heliograph approval approve ${visible(approval.id)}\n`);
}

export type Column<T> = readonly [title: string, text: (entry: T) => string];

export function tellTable<T>(options: Json, entries: readonly T[], columns: readonly Column<T>[]): void {
  if (options.json === true) {
    process.stdout.write(`${JSON.stringify(entries, undefined, 2)}\n`);
    return;
  }
  const rows = [columns.map(([title]) => title), ...entries.map((entry) => columns.map(([, text]) => visible(text(entry))))];
  const widths = columns.map((_column, i) => Math.max(...rows.map((row) => row[i]!.length)));
  for (const row of rows)
    process.stdout.write(
      `${row
        .map((text, i) => text.padEnd(widths[i]!))
        .join('  ')
        .trimEnd()}\n`,
    );
}

/** One line a fact; what is empty shows as `-`. */
export function tellFacts(options: Json, whole: unknown, facts: readonly (readonly [string, string])[]): void {
  if (options.json === true) {
    process.stdout.write(`${JSON.stringify(whole, undefined, 2)}\n`);
    return;
  }
  const width = Math.max(...facts.map(([what]) => what.length));
  for (const [what, text] of facts) process.stdout.write(`${what.padEnd(width)} ${text === '' ? '-' : visible(text)}\n`);
}

export function moment(ms: number | undefined): string {
  return ms === undefined ? '' : new Date(ms).toISOString();
}

export function pairs(labels: Readonly<Record<string, string | number>>): string[] {
  return Object.entries(labels).map(([key, text]) => `${key}=${text}`);
}
