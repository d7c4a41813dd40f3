// A set of two or more values that is read as an array, and in which adding and removing stay cheap when it is large.

const maxWithoutIndex = 32;

export class Several<T extends object> {
  /** In no particular order. Only to be read. */
  readonly items: T[];
  #index: Map<T, number> | undefined = undefined;

  constructor(first: T, second: T) {
    this.items = [first, second];
  }

  get size(): number {
    return this.items.length;
  }

  /** Returns false when it is there already. */
  add(value: T): boolean {
    if (this.#position(value) !== -1) return false;
    this.items.push(value);
    if (this.#index !== undefined) {
      this.#index.set(value, this.items.length - 1);
    } else if (this.items.length > maxWithoutIndex) {
      this.#index = new Map();
      for (const [i, item] of this.items.entries()) this.#index.set(item, i);
    }
    return true;
  }

  /** Returns false when it is not there. */
  delete(value: T): boolean {
    const at = this.#position(value);
    if (at === -1) return false;
    const last = this.items.pop()!;
    if (last !== value) this.items[at] = last;
    if (this.#index !== undefined) {
      this.#index.delete(value);
      if (last !== value) this.#index.set(last, at);
      if (this.items.length <= maxWithoutIndex / 2) this.#index = undefined;
    }
    return true;
  }

  #position(value: T): number {
    return this.#index === undefined ? this.items.indexOf(value) : (this.#index.get(value) ?? -1);
  }
}
