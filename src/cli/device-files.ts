// The files of heliograph device import and export.

import { closeSync, createReadStream, createWriteStream, openSync, statSync, writeSync } from 'node:fs';
import { once } from 'node:events';
import { finished } from 'node:stream/promises';
import { UserError } from '../base/user-error.ts';
import { registryProblem } from '../node/registry-of.ts';
import type { Registry } from '../registry/registry.ts';
import { exportDevices } from '../registry/transfer/export-devices.ts';
import { importDevices, type FileFormat, type ImportCounts } from '../registry/transfer/import-devices.ts';
import { exitCodes } from './exit-codes.ts';
import { progressLine } from './progress-line.ts';

/** Refused rows that are shown; all of them go into the file of --refused. */
const shownRows = 20;

type FileOptions = { readonly tenant: string; readonly format?: string; readonly json?: boolean };

export async function importFrom(
  registry: Registry,
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
  const size = path === '-' ? undefined : statSync(path, { throwIfNoEntry: false })?.size;
  const report = options.refused === undefined ? undefined : createdNow(options.refused);
  const line = progressLine(options.json !== true);
  let shown = 0;
  const outcome = await importDevices(registry, path === '-' ? process.stdin : createReadStream(path), {
    format,
    tenant: options.tenant,
    existing: options.update === true ? 'change' : 'refuse',
    refused(row) {
      // At once, so that a million of them do not wait in memory.
      if (report !== undefined) writeSync(report, `${JSON.stringify(row)}\n`);
      if (options.json === true || ++shown > shownRows) return;
      line.clear();
      process.stderr.write(`line ${row.line}${row.id === undefined ? '' : ` (${row.id})`}: ${row.why}\n`);
    },
    progress: (so) => line.show(progress(so, size)),
  });
  line.clear();
  if (report !== undefined) closeSync(report);
  const { error, ...counts } = outcome;
  if (options.json) process.stdout.write(`${JSON.stringify(counts)}\n`);
  else {
    if (shown > shownRows) process.stderr.write(`and ${shown - shownRows} more; --refused FILE writes them all\n`);
    process.stdout.write(`${counts.accepted} devices taken, ${counts.refused} rows refused.\n`);
  }
  if (error !== undefined) throw registryProblem(error, path);
  if (counts.refused > 0) process.exitCode = exitCodes.failed;
}

function progress({ rows, bytes, refused }: ImportCounts, size: number | undefined): string {
  const part = size === undefined || size === 0 ? '' : ` (${Math.floor((100 * bytes) / size)} %)`;
  return `${rows} rows${part}, ${refused} refused`;
}

export async function exportTo(registry: Registry, path: string, options: FileOptions): Promise<void> {
  const format = formatOf(path, options.format) ?? 'jsonl';
  const target = path === '-' ? process.stdout : createWriteStream(path, { fd: createdNow(path) });
  const line = progressLine(options.json !== true && path !== '-');
  let devices = 0;
  for await (const piece of exportDevices(registry, options.tenant, format, {})) {
    if ('error' in piece) throw registryProblem(piece.error);
    devices += piece.devices;
    if (!target.write(piece.text)) await once(target, 'drain');
    line.show(`${devices} devices`);
  }
  line.clear();
  if (path === '-') return;
  target.end();
  await finished(target);
  process.stdout.write(options.json ? `${JSON.stringify({ file: path, devices })}\n` : `${path}: ${devices} devices.\n`);
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
