// A page of names in their order, of many in none: without sorting all of them, and without keeping them.

/** How many names more than wanted are kept before they are sorted and cut. */
const slack = 1000;

export class FirstInOrder<T> {
  readonly #limit: number;
  readonly #after: string | undefined;
  readonly #prefix: string;
  #kept: { readonly name: string; readonly value: T }[] = [];
  /** Names above it are not wanted. */
  #last: string | undefined = undefined;

  /** Names that begin with `prefix` and come after `after`. */
  constructor(limit: number, after: string | undefined, prefix: string | undefined) {
    // One more, to know whether there is a next page.
    this.#limit = limit + 1;
    this.#after = after;
    this.#prefix = prefix ?? '';
  }

  wants(name: string): boolean {
    if (this.#after !== undefined && name <= this.#after) return false;
    return (this.#last === undefined || name < this.#last) && name.startsWith(this.#prefix);
  }

  offer(name: string, value: T): void {
    if (!this.wants(name)) return;
    this.#kept.push({ name, value });
    if (this.#kept.length >= this.#limit + slack) this.#cut();
  }

  #cut(): void {
    this.#kept.sort((a, b) => (a.name < b.name ? -1 : 1));
    if (this.#kept.length <= this.#limit) return;
    this.#kept.length = this.#limit;
    this.#last = this.#kept.at(-1)!.name;
  }

  /** `next`: what to ask for as `after`. */
  page(): { readonly entries: readonly T[]; readonly next: string | undefined } {
    this.#cut();
    const hasNext = this.#kept.length === this.#limit;
    const entries = hasNext ? this.#kept.slice(0, -1) : this.#kept;
    return { entries: entries.map(({ value }) => value), next: hasNext ? entries.at(-1)?.name : undefined };
  }
}
