// Who is told of changes, and how far they have been told. The store says how to read what came after a revision.

import type { Log } from '../base/log.ts';
import type { Change, ChangeListener, RegistryError } from './registry.ts';

export class ChangeFeed {
  readonly #log: Log;
  readonly #listeners = new Set<ChangeListener>();
  /** The last revision that everyone has been told of. */
  #told: number;
  #trouble: string | undefined;

  constructor(revision: number, log: Log) {
    this.#told = revision;
    this.#log = log;
  }

  get told(): number {
    return this.#told;
  }

  subscribe(listener: ChangeListener): () => void {
    // Wrapped, so that one that subscribes twice is told twice.
    const own: ChangeListener = (changes) => listener(changes);
    this.#listeners.add(own);
    return () => void this.#listeners.delete(own);
  }

  tell({ changes, upTo }: { readonly changes: readonly Change[]; readonly upTo: number }): void {
    this.#told = upTo;
    this.#trouble = undefined;
    if (changes.length === 0) return;
    for (const listener of this.#listeners) listener(changes);
  }

  /** Changes could not be read: said once, until it works again. */
  failed({ code, message }: RegistryError): void {
    if (this.#trouble === code) return;
    this.#trouble = code;
    this.#log.error('the registry cannot be read', { code, message });
  }
}
