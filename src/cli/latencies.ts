// Many durations in little memory: counts in steps that grow with the duration, 64 to each power of two.

const steps = 64;
/** The finest step is a microsecond up to 64 of them. */
const perMs = 1000;

export class Latencies {
  readonly #counts: number[] = [];
  #total = 0;

  add(ms: number): void {
    const micros = Math.max(0, Math.round(ms * perMs));
    const power = micros < steps ? 0 : Math.floor(Math.log2(micros / steps));
    const place = power * steps + Math.floor(micros / 2 ** power);
    this.#counts[place] = (this.#counts[place] ?? 0) + 1;
    this.#total++;
  }

  /** The duration within which this part of all lie, to about 2%; 0 when there are none. */
  quantileMs(part: number): number {
    let below = 0;
    for (const [place, count] of this.#counts.entries()) {
      below += count ?? 0;
      if (this.#total > 0 && below >= part * this.#total) return msOf(place);
    }
    return 0;
  }
}

/** The longest duration that `add` counts in this place. */
function msOf(place: number): number {
  const power = Math.max(0, Math.floor(place / steps) - 1);
  return ((place - power * steps + 1) * 2 ** power - 1) / perMs;
}
