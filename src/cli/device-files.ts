// The files of heliograph device import and export.

import { closeSync, createReadStream, createWriteStream, openSync, statSync, writeSync } from 'node:fs';
import { once } from 'node:events';
import { finished } from 'node:stream/promises';
import { UserError } from '../base/user-error.ts';
import { registryProblem } from '../node/registry-of.ts';
import type { FileFormat } from '../registry/transfer/import-devices.ts';
import type { ApiClient } from './api-client.ts';
import { exitCodes } from './exit-codes.ts';
import { progressLine } from './progress-line.ts';
import { visible } from './visible.ts';

/** Refused rows that are shown; all of them go into the file of --refused. */
const shownRows = 20;

type FileOptions = { readonly tenant: string; readonly format?: string; readonly json?: boolean };

type Counts = { readonly bytes: number; readonly rows: number; readonly accepted: number; readonly refused: number };
type Refused = { readonly line: number; readonly id?: string; readonly why: string };
/** A line of the answer to an import. */
type Told = { readonly refused: Refused } | { readonly progress: Counts } | { readonly done: Counts & { readonly error?: string } };

const contentTypes = { csv: 'text/csv', jsonl: 'application/x-ndjson' } as const;

export async function importFrom(
  api: ApiClient,
  path: string,
  options: FileOptions & { readonly update?: boolean; readonly refused?: string },
): Promise<void> {
  const format = formatOf(path, options.format);
  if (format === undefined) {
    throw new UserError('The name of the file does not say what is in it.', {
      fix: 'add --format csv or --format jsonl',
      exitCode: exitCodes.wrongUsage,
    });
  }
  const size = path === '-' ? undefined : readable(path);
  const report = options.refused === undefined ? undefined : createdNow(options.refused);
  const line = progressLine(options.json !== true);
  const query = { tenant: options.tenant, format, existing: options.update === true ? 'change' : 'refuse' };
  const file = path === '-' ? process.stdin : createReadStream(path, { highWaterMark: readBytes });
  let shown = 0;
  let done: (Counts & { readonly error?: string }) | undefined;
  for await (const text of api.lines('POST', '/devices:import', { query, file, contentType: contentTypes[format] })) {
    const told = JSON.parse(text) as Told;
    if ('progress' in told) line.show(progress(told.progress, size));
    else if ('done' in told) done = told.done;
    else {
      // At once, so that a million of them do not wait in memory.
      if (report !== undefined) writeSync(report, `${JSON.stringify(told.refused)}\n`);
      if (options.json !== true && ++shown <= shownRows) {
        line.clear();
        const { line: number, id, why } = told.refused;
        process.stderr.write(`${visible(`line ${number}${id === undefined ? '' : ` (${id})`}: ${why}`)}\n`);
      }
    }
  }
  line.clear();
  if (report !== undefined) closeSync(report);
  if (done === undefined) throw new UserError('The import was cut short.', { where: path, fix: 'give the same file again, with --update' });
  summary(done, shown, options, path);
}

const readBytes = 256 * 1024;

function readable(path: string): number {
  try {
    return statSync(path).size;
  } catch (error) {
    throw new UserError(`The file cannot be read: ${(error as Error).message}`, { where: path, fix: 'check the path', cause: error });
  }
}

function summary({ error, ...counts }: Counts & { readonly error?: string }, shown: number, options: FileOptions, path: string): void {
  if (options.json) process.stdout.write(`${JSON.stringify(counts)}\n`);
  else {
    if (shown > shownRows) process.stderr.write(`and ${shown - shownRows} more; --refused FILE writes them all\n`);
    process.stdout.write(`${counts.accepted} devices taken, ${counts.refused} rows refused.\n`);
  }
  if (error !== undefined) throw registryProblem({ message: error }, path);
  if (counts.refused > 0) process.exitCode = exitCodes.failed;
}

function progress({ rows, bytes, refused }: Counts, size: number | undefined): string {
  const part = size === undefined || size === 0 ? '' : ` (${Math.floor((100 * bytes) / size)} %)`;
  return `${rows} rows${part}, ${refused} refused`;
}

export async function exportTo(api: ApiClient, path: string, options: FileOptions): Promise<void> {
  const format = formatOf(path, options.format) ?? 'jsonl';
  const target = path === '-' ? process.stdout : createWriteStream(path, { fd: createdNow(path) });
  const line = progressLine(options.json !== true && path !== '-');
  // The header of CSV is no device.
  let devices = format === 'csv' ? -1 : 0;
  for await (const text of api.text('GET', '/devices:export', { query: { tenant: options.tenant, format } })) {
    // Nothing that a device is made of holds a line break.
    devices += countOf(text, '\n');
    if (!target.write(text)) await once(target, 'drain');
    line.show(`${devices} devices`);
  }
  line.clear();
  if (path === '-') return;
  target.end();
  await finished(target);
  process.stdout.write(options.json ? `${JSON.stringify({ file: path, devices })}\n` : `${path}: ${devices} devices.\n`);
}

function countOf(text: string, sign: string): number {
  let count = 0;
  for (let at = text.indexOf(sign); at !== -1; at = text.indexOf(sign, at + 1)) count++;
  return count;
}

/** As it is called, or as the file's name says. */
function formatOf(path: string, given: string | undefined): FileFormat | undefined {
  const name = given ?? /\.(csv|jsonl|ndjson)$/i.exec(path)?.[1]?.toLowerCase();
  if (name === 'csv') return 'csv';
  if (name === 'jsonl' || name === 'ndjson') return 'jsonl';
  if (given === undefined) return undefined;
  throw new UserError(`"${given}" is no format of a file of devices.`, { fix: 'use csv or jsonl', exitCode: exitCodes.wrongUsage });
}

/** A new file: one that is there is never written over. */
function createdNow(path: string): number {
  try {
    return openSync(path, 'wx', 0o600);
  } catch (error) {
    throw new UserError(`The file cannot be made: ${(error as Error).message}`, {
      where: path,
      fix: 'name a file that is not there yet, in a directory that is',
      cause: error,
    });
  }
}
