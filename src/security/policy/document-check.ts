// Checks of a value that somebody else wrote: each finding has its place in the document, words, and what to do.

export type Fault = {
  /** `statements[2].topics[0]`; empty: the document as a whole. */
  readonly path: string;
  /** What is wrong, as the end of "<path> …". */
  readonly what: string;
  readonly fix: string;
};

/** After so many nobody reads on; stops a document that is nothing but faults from filling memory. */
const maxFaults = 50;
/** Of what is repeated in words. */
const shownLength = 64;

export class DocumentCheck {
  readonly faults: Fault[] = [];

  of(path: string, value: unknown): Checked {
    return new Checked(this, path, value);
  }

  add(fault: Fault): void {
    if (this.faults.length < maxFaults) this.faults.push(fault);
  }
}

/** A value at its place. Methods that begin with `is` answer whether it is so, and note the fault when it is not. */
export class Checked {
  readonly path: string;
  readonly value: unknown;
  readonly #check: DocumentCheck;

  constructor(check: DocumentCheck, path: string, value: unknown) {
    this.#check = check;
    this.path = path;
    this.value = value;
  }

  get isAbsent(): boolean {
    return this.value === undefined;
  }

  fault(what: string, fix: string): false {
    this.#check.add({ path: this.path, what, fix });
    return false;
  }

  /** Only own properties count: what stands in a prototype was not written. */
  field(key: string): Checked {
    const { value } = this;
    const found = isPlain(value) && Object.hasOwn(value, key) ? value[key] : undefined;
    return this.#check.of(this.path === '' ? key : `${this.path}.${key}`, found);
  }

  /** Notes its absence; what follows then finds nothing more to say. */
  needed(): this {
    if (this.isAbsent) this.fault('is missing', 'add it');
    return this;
  }

  isObject(...known: readonly string[]): boolean {
    const { value } = this;
    if (!isPlain(value)) return this.fault('must be an object', `write { … } with ${known.join(', ')}`);
    for (const key of Object.keys(value)) {
      if (known.includes(key)) continue;
      this.#check
        .of(this.path === '' ? shown(key) : `${this.path}.${shown(key)}`, undefined)
        .fault('is not known here', `remove it, or use one of ${known.join(', ')}`);
    }
    return true;
  }

  /** The items of a list; none when it is no list or has the wrong length. */
  items(min: number, max: number): Checked[] {
    const { value } = this;
    if (this.isAbsent) return [];
    if (!Array.isArray(value)) this.fault('must be a list', 'write [ … ]');
    else if (value.length < min) this.fault('is an empty list, so the statement would never hold', 'name something, or remove it');
    else if (value.length > max) this.fault(`has more than ${max} entries`, 'split it');
    else return Array.from(value, (item: unknown, i) => this.#check.of(`${this.path}[${i}]`, item ?? null));
    return [];
  }

  isText(maxLength: number): boolean {
    const { value } = this;
    if (typeof value !== 'string') return this.fault('must be text', 'write it in quotes');
    if (value.length > maxLength) return this.fault(`is longer than ${maxLength} characters`, 'shorten it');
    return value.isWellFormed() || this.fault('holds half a character', 'write it in UTF-8');
  }

  isOneOf(allowed: readonly string[]): boolean {
    const { value } = this;
    if (this.isAbsent) return false;
    if (typeof value === 'string' && allowed.includes(value)) return true;
    const given = typeof value === 'string' ? `is "${shown(value)}"` : 'must be text';
    return this.fault(`${given}, which is not known here`, `use one of ${allowed.join(', ')}`);
  }

  isWhole(min: number, max: number): boolean {
    const { value } = this;
    if (Number.isInteger(value) && (value as number) >= min && (value as number) <= max) return true;
    return this.fault(`must be a whole number from ${min} to ${max}`, 'correct it');
  }
}

function isPlain(value: unknown): value is Record<string, unknown> {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return false;
  const prototype: unknown = Object.getPrototypeOf(value);
  return prototype === null || prototype === Object.prototype;
}

/** What somebody wrote, fit to be repeated to somebody else. */
export function shown(text: string): string {
  const cut = text.length > shownLength ? `${text.slice(0, shownLength)}…` : text;
  return cut.toWellFormed().replace(/[\p{Cc}\p{Zl}\p{Zp}]/gu, '?');
}
