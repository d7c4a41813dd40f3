// Cuts text into lines, piece by piece; a line that is too long is told and left out, and never kept whole.

export type Line = { readonly line: number; readonly text: string } | { readonly line: number; readonly fault: string };

/** Characters of a line. */
export const maxLineLength = 256 * 1024;

export class LineReader {
  #line = 1;
  #rest = '';
  #tooLong = false;
  #beforeFirst = true;

  /** The lines that end in this piece, without empty ones. */
  push(text: string): Line[] {
    const found: Line[] = [];
    let start = this.#beforeFirst && text.startsWith('\uFEFF') ? 1 : 0;
    if (text.length > 0) this.#beforeFirst = false;
    for (let end = text.indexOf('\n', start); end !== -1; end = text.indexOf('\n', start)) {
      this.#add(text.slice(start, end));
      this.#finish(found);
      start = end + 1;
    }
    this.#add(text.slice(start));
    return found;
  }

  end(): Line[] {
    const found: Line[] = [];
    this.#finish(found);
    return found;
  }

  #add(text: string): void {
    if (this.#rest.length + text.length > maxLineLength) this.#tooLong = true;
    if (this.#tooLong) this.#rest = '';
    else this.#rest += text;
  }

  #finish(found: Line[]): void {
    const text = this.#rest.endsWith('\r') ? this.#rest.slice(0, -1) : this.#rest;
    if (this.#tooLong) found.push({ line: this.#line, fault: `is longer than ${maxLineLength} characters` });
    else if (text.trim() !== '') found.push({ line: this.#line, text });
    this.#line++;
    this.#rest = '';
    this.#tooLong = false;
  }
}
