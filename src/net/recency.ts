// In which order peers were last heard: a list through the peers themselves, so that to move one costs nothing but a few fields.

export interface HasRecency<T> {
  older: T | undefined;
  newer: T | undefined;
  /** Monotonic. */
  heardMs: number;
}

export class Recency<T extends HasRecency<T>> {
  #oldest: T | undefined;
  #newest: T | undefined;

  get oldest(): T | undefined {
    return this.#oldest;
  }

  add(item: T, nowMs: number): void {
    item.heardMs = nowMs;
    item.older = this.#newest;
    item.newer = undefined;
    if (this.#newest === undefined) this.#oldest = item;
    else this.#newest.newer = item;
    this.#newest = item;
  }

  remove(item: T): void {
    const { older, newer } = item;
    if (older === undefined) this.#oldest = newer;
    else older.newer = newer;
    if (newer === undefined) this.#newest = older;
    else newer.older = older;
    item.older = undefined;
    item.newer = undefined;
  }

  heard(item: T, nowMs: number): void {
    if (item !== this.#newest) {
      this.remove(item);
      this.add(item, nowMs);
    } else item.heardMs = nowMs;
  }
}
