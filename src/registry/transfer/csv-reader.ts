// Reads CSV (RFC 4180) piece by piece: cells in quotes may hold commas, quotes and line breaks; lines end with LF or CRLF. What one
// record may hold is bounded while it is being read, so that a quote that never ends costs a record and not the memory.

/** A record with the number of its first line (1 is the first), or why it is none. */
export type CsvRecord = { readonly line: number; readonly cells: readonly string[] } | { readonly line: number; readonly fault: string };

/** Characters of a record. */
export const maxRecordLength = 256 * 1024;
export const maxCells = 256;

type State =
  | 'start-of-cell'
  | 'plain'
  | 'quoted'
  /** A quote in a quoted cell: its end, or the first half of a quote that is meant. */
  | 'quote-in-quoted'
  /** Behind a quoted cell and a CR: only the LF is left. */
  | 'line-end'
  /** Until the end of the line, after a fault. */
  | 'skipping';

export class CsvReader {
  #state: State = 'start-of-cell';
  #line = 1;
  #firstLine = 1;
  #cells: string[] = [];
  #cell = '';
  #length = 0;
  #fault: string | undefined;
  #beforeFirst = true;

  /** The records that end in this piece. */
  push(text: string): CsvRecord[] {
    const found: CsvRecord[] = [];
    // A byte order mark, as spreadsheets write it.
    let i = this.#beforeFirst && text.startsWith('\uFEFF') ? 1 : 0;
    if (text.length > 0) this.#beforeFirst = false;
    while (i < text.length) i = this.#take(text, i, found);
    return found;
  }

  /** The last record, if its line has no end. */
  end(): CsvRecord[] {
    const found: CsvRecord[] = [];
    if (this.#state === 'quoted') this.#fail('has a quoted cell that never ends');
    if (this.#length > 0 || this.#fault !== undefined) this.#finish(found);
    return found;
  }

  #take(text: string, at: number, found: CsvRecord[]): number {
    if (this.#state === 'plain' || this.#state === 'quoted' || this.#state === 'skipping') {
      const end = this.#endOfRun(text, at);
      if (end > at) {
        this.#append(text, at, end);
        return end;
      }
    }
    const sign = text[at]!;
    this.#length++;
    if (sign === '\n') this.#lineBreak(found);
    else if (this.#state !== 'skipping') this.#sign(sign);
    if (this.#length > maxRecordLength) this.#fail(`is longer than ${maxRecordLength} characters`);
    return at + 1;
  }

  #sign(sign: string): void {
    switch (this.#state) {
      case 'start-of-cell':
        if (sign === '"') this.#state = 'quoted';
        else if (sign === ',') this.#endCell();
        else this.#plain(sign);
        return;
      case 'plain':
        if (sign === ',') this.#endCell();
        else if (sign === '"') this.#fail('has a quote in a cell that is not quoted');
        else this.#plain(sign);
        return;
      case 'quoted':
        if (sign === '"') this.#state = 'quote-in-quoted';
        else this.#cell += sign;
        return;
      case 'quote-in-quoted':
        if (sign === '"') {
          this.#cell += '"';
          this.#state = 'quoted';
        } else if (sign === ',') this.#endCell();
        else if (sign === '\r') this.#state = 'line-end';
        else this.#fail('has text behind a quoted cell');
        return;
      case 'line-end':
        this.#fail('has text behind a quoted cell');
        return;
      case 'skipping':
    }
  }

  #plain(sign: string): void {
    this.#cell += sign;
    this.#state = 'plain';
  }

  /** Where the signs end that mean nothing in this state. */
  #endOfRun(text: string, at: number): number {
    let end = at;
    for (; end < text.length; end++) {
      const code = text.charCodeAt(end);
      if (code === lineFeed || (code === quote && this.#state !== 'skipping') || (code === comma && this.#state === 'plain')) break;
    }
    return end;
  }

  #append(text: string, start: number, end: number): void {
    this.#length += end - start;
    if (this.#length > maxRecordLength) this.#fail(`is longer than ${maxRecordLength} characters`);
    if (this.#state !== 'skipping') this.#cell += text.slice(start, end);
  }

  #lineBreak(found: CsvRecord[]): void {
    this.#line++;
    if (this.#state === 'quoted') this.#cell += '\n';
    else this.#finish(found);
  }

  #endCell(): void {
    this.#cells.push(this.#cell);
    this.#cell = '';
    this.#state = 'start-of-cell';
    if (this.#cells.length === maxCells) this.#fail(`has more than ${maxCells} cells`);
  }

  #fail(fault: string): void {
    this.#fault ??= fault;
    this.#cells = [];
    this.#cell = '';
    this.#state = 'skipping';
  }

  #finish(found: CsvRecord[]): void {
    if (this.#fault !== undefined) {
      found.push({ line: this.#firstLine, fault: this.#fault });
    } else {
      if (this.#state === 'plain' && this.#cell.endsWith('\r')) this.#cell = this.#cell.slice(0, -1);
      this.#cells.push(this.#cell);
      // An empty line is no record.
      const isQuoted = this.#state === 'quote-in-quoted' || this.#state === 'line-end';
      if (this.#cells.length > 1 || this.#cells[0] !== '' || isQuoted) found.push({ line: this.#firstLine, cells: this.#cells });
    }
    this.#cells = [];
    this.#cell = '';
    this.#length = 0;
    this.#fault = undefined;
    this.#state = 'start-of-cell';
    this.#firstLine = this.#line;
  }
}

const lineFeed = 10;
const quote = 34;
const comma = 44;

/** One line, with what needs quotes in them. */
export function csvLine(cells: readonly string[]): string {
  const quoted = cells.map((cell) => (/[",\r\n]/.test(cell) ? `"${cell.replaceAll('"', '""')}"` : cell));
  // Alone in its line, an empty cell would be an empty line.
  return `${quoted.length === 1 && quoted[0] === '' ? '""' : quoted.join(',')}\n`;
}
