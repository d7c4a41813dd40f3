// Devices out of a file into the registry: in order, a thousand a transaction, with a word for every row that is refused. Memory does
// not grow with the file.

import { maxWrites, type Registry, type RegistryError, type Write } from '../registry.ts';
import { CsvReader } from './csv-reader.ts';
import { deviceColumns, deviceOfCells, deviceOfJson, type DeviceRow, type Parsed } from './device-rows.ts';
import { LineReader } from './line-reader.ts';

export type FileFormat = 'csv' | 'jsonl';

export type ImportOptions = {
  readonly format: FileFormat;
  readonly tenant: string;
  /** What to do about a device that is there: refuse the row, or change what the row says. */
  readonly existing: 'refuse' | 'change';
  readonly refused: (row: RefusedRow) => void;
  readonly progress?: (so: ImportCounts) => void;
};

export type RefusedRow = { readonly line: number; readonly id: string | undefined; readonly why: string };

export type ImportCounts = {
  readonly bytes: number;
  readonly rows: number;
  /** Created, changed, or as they should be already: in the registry for certain. */
  readonly accepted: number;
  readonly refused: number;
};

/** `error`: it had to stop; what the counts say is in the registry all the same, and the same file can be given again. */
export type ImportOutcome = ImportCounts & { readonly error: RegistryError | { readonly message: string } | undefined };

type Row = { readonly line: number; readonly parsed: Parsed<DeviceRow> };

export async function importDevices(
  registry: Pick<Registry, 'apply'>,
  source: AsyncIterable<Uint8Array>,
  options: ImportOptions,
): Promise<ImportOutcome> {
  const importing = new DeviceImport(registry, options);
  const reader = options.format === 'csv' ? new CsvRows() : new JsonRows();
  // What is no UTF-8 becomes U+FFFD, and its rows are refused.
  const decoder = new TextDecoder('utf-8', { ignoreBOM: true });
  try {
    for await (const chunk of source) {
      importing.bytes += chunk.length;
      // A large piece is taken apart, so that no more rows wait than a transaction takes, about.
      for (let start = 0; start < chunk.length; start += pieceBytes) {
        const piece = decoder.decode(chunk.subarray(start, start + pieceBytes), { stream: true });
        for (const row of reader.push(piece)) await importing.take(row);
        if (reader.problem !== undefined) return importing.outcome({ message: reader.problem });
      }
      if (importing.error !== undefined) return importing.outcome(importing.error);
    }
    for (const row of [...reader.push(decoder.decode()), ...reader.end()]) await importing.take(row);
    if (reader.problem !== undefined) return importing.outcome({ message: reader.problem });
    await importing.finish();
  } catch (error) {
    await importing.finish();
    return importing.outcome({ message: `The file cannot be read: ${(error as Error).message}` });
  }
  return importing.outcome(importing.error);
}

const pieceBytes = 64 * 1024;

class DeviceImport {
  bytes = 0;
  error: RegistryError | undefined;
  readonly #registry: Pick<Registry, 'apply'>;
  readonly #options: ImportOptions;
  #rows = 0;
  #accepted = 0;
  #refused = 0;
  #batch: { readonly line: number; readonly write: Write<'device'> }[] = [];

  constructor(registry: Pick<Registry, 'apply'>, options: ImportOptions) {
    this.#registry = registry;
    this.#options = options;
  }

  async take({ line, parsed }: Row): Promise<void> {
    if (this.error !== undefined) return;
    this.#rows++;
    const { tenant, existing } = this.#options;
    if (!parsed.ok) return this.#refuse(line, undefined, parsed.why);
    const { id, fields } = parsed.value;
    if (parsed.value.tenant !== undefined && parsed.value.tenant !== tenant) {
      return this.#refuse(line, id, `is of another tenant: this import is for ${tenant}`);
    }
    this.#batch.push({ line, write: { do: existing === 'change' ? 'put' : 'create', kind: 'device', tenant, id, fields } });
    if (this.#batch.length === maxWrites) await this.#flush();
  }

  async finish(): Promise<void> {
    if (this.error === undefined && this.#batch.length > 0) await this.#flush();
  }

  outcome(error: ImportOutcome['error']): ImportOutcome {
    return { ...this.#counts(), error };
  }

  #counts(): ImportCounts {
    return { bytes: this.bytes, rows: this.#rows, accepted: this.#accepted, refused: this.#refused };
  }

  async #flush(): Promise<void> {
    const batch = this.#batch;
    this.#batch = [];
    const applied = await this.#registry.apply(
      batch.map(({ write }) => write),
      { atomic: false },
    );
    if (!applied.ok) {
      this.error = applied.error;
      return;
    }
    for (const [i, result] of applied.value.entries()) {
      if (result.ok) this.#accepted++;
      else this.#refuse(batch[i]!.line, batch[i]!.write.id, result.error.message);
    }
    this.#options.progress?.(this.#counts());
  }

  #refuse(line: number, id: string | undefined, why: string): void {
    this.#refused++;
    this.#options.refused({ line, id: id?.slice(0, 200), why });
  }
}

interface Rows {
  /** Why nothing of the file can be used. */
  readonly problem: string | undefined;
  push(text: string): Row[];
  end(): Row[];
}

const notUtf8 = 'is not UTF-8';

class JsonRows implements Rows {
  readonly problem = undefined;
  readonly #lines = new LineReader();

  push(text: string): Row[] {
    return this.#lines.push(text).map(rowOfLine);
  }

  end(): Row[] {
    return this.#lines.end().map(rowOfLine);
  }
}

function rowOfLine(read: ReturnType<LineReader['push']>[number]): Row {
  if ('fault' in read) return { line: read.line, parsed: { ok: false, why: read.fault } };
  return { line: read.line, parsed: read.text.includes('\uFFFD') ? { ok: false, why: notUtf8 } : deviceOfJson(read.text) };
}

class CsvRows implements Rows {
  problem: string | undefined;
  readonly #records = new CsvReader();
  #columns: readonly string[] | undefined;

  push(text: string): Row[] {
    return this.#rows(this.#records.push(text));
  }

  end(): Row[] {
    const rows = this.#rows(this.#records.end());
    if (this.#columns === undefined)
      this.problem ??= 'The file is empty: its first line must name the columns, such as: id,groups,label:site';
    return rows;
  }

  #rows(records: ReturnType<CsvReader['push']>): Row[] {
    const rows: Row[] = [];
    for (const record of records) {
      if (this.problem !== undefined) break;
      const isFault = 'fault' in record;
      if (this.#columns === undefined) {
        const columns = isFault ? { ok: false as const, why: record.fault } : deviceColumns(record.cells);
        if (columns.ok) this.#columns = columns.value;
        else this.problem = `The header (line ${record.line}) ${columns.why}.`;
      } else if (isFault) {
        rows.push({ line: record.line, parsed: { ok: false, why: record.fault } });
      } else {
        const isBroken = record.cells.some((cell) => cell.includes('\uFFFD'));
        rows.push({ line: record.line, parsed: isBroken ? { ok: false, why: notUtf8 } : deviceOfCells(this.#columns, record.cells) });
      }
    }
    return rows;
  }
}
