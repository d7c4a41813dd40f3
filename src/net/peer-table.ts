// Peers by the address they send from. Most addresses have one peer; that of a gateway may have thousands.

export class PeerTable<T> {
  readonly #byAddress = new Map<string, One<T> | Map<number, T>>();
  #size = 0;

  get size(): number {
    return this.#size;
  }

  get(address: string, port: number): T | undefined {
    const found = this.#byAddress.get(address);
    if (found === undefined) return undefined;
    if (found instanceof Map) return found.get(port);
    return found.port === port ? found.value : undefined;
  }

  /** There must be none yet. */
  add(address: string, port: number, value: T): void {
    this.#size++;
    const found = this.#byAddress.get(address);
    if (found === undefined) this.#byAddress.set(address, { port, value });
    else if (found instanceof Map) found.set(port, value);
    else
      this.#byAddress.set(
        address,
        new Map([
          [found.port, found.value],
          [port, value],
        ]),
      );
  }

  /** Nothing happens when somebody else stands there. */
  remove(address: string, port: number, value: T): void {
    if (this.get(address, port) !== value) return;
    this.#size--;
    const found = this.#byAddress.get(address);
    if (found instanceof Map && found.size > 1) found.delete(port);
    else this.#byAddress.delete(address);
  }
}

type One<T> = { readonly port: number; readonly value: T };
