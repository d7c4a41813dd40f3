// Which sequence numbers have been received (RFC 6347 §4.1.2.6). 64 wide, without BigInt: two words of 32 bits.

export class ReplayWindow {
  /** The highest accepted; -1: none. */
  #top = -1;
  /** Bit i of `low`: top - i; of `high`: top - 32 - i. */
  #low = 0;
  #high = 0;

  isNewest(sequence: number): boolean {
    return sequence > this.#top;
  }

  /** Not seen yet, and not too old to tell. Only ask: the record is not authenticated yet. */
  isFresh(sequence: number): boolean {
    const back = this.#top - sequence;
    if (back < 0) return true;
    if (back >= 64) return false;
    return back < 32 ? ((this.#low >>> back) & 1) === 0 : ((this.#high >>> (back - 32)) & 1) === 0;
  }

  /** The record has been authenticated, and was fresh. */
  accept(sequence: number): void {
    const ahead = sequence - this.#top;
    if (ahead > 0) {
      this.#shift(ahead);
      this.#top = sequence;
      this.#low = (this.#low | 1) >>> 0;
      return;
    }
    const back = -ahead;
    if (back < 32) this.#low = (this.#low | (1 << back)) >>> 0;
    else this.#high = (this.#high | (1 << (back - 32))) >>> 0;
  }

  #shift(by: number): void {
    if (by >= 64) {
      this.#low = 0;
      this.#high = 0;
    } else if (by >= 32) {
      this.#high = (this.#low << (by - 32)) >>> 0;
      this.#low = 0;
    } else {
      this.#high = ((this.#high << by) | (this.#low >>> (32 - by))) >>> 0;
      this.#low = (this.#low << by) >>> 0;
    }
  }
}
