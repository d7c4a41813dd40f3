// What a room tells the outside about itself. Hot code counts in plain numeric fields of an object its room owns; a room's
// `metrics()` turns them into samples when somebody asks. Names follow Prometheus: `heliograph_<room>_<what>_<unit>[_total]`.

export type Labels = Readonly<Record<string, string>>;

export type Sample =
  | {
      readonly name: string;
      readonly help: string;
      readonly type: 'counter' | 'gauge';
      readonly labels?: Labels;
      readonly value: number;
    }
  | { readonly name: string; readonly help: string; readonly type: 'histogram'; readonly labels?: Labels; readonly value: Histogram };

export interface MetricSource {
  metrics(): Iterable<Sample>;
}

/** Counts of observations by upper bound (seconds, bytes…: what the name says), without allocation per observation. */
export class Histogram {
  readonly bounds: readonly number[];
  /** One count per bound, and one more for what is above the last. */
  readonly counts: Float64Array;
  sum = 0;

  constructor(bounds: readonly number[]) {
    this.bounds = bounds;
    this.counts = new Float64Array(bounds.length + 1);
  }

  observe(value: number): void {
    let i = 0;
    while (i < this.bounds.length && value > this.bounds[i]!) i++;
    this.counts[i]!++;
    this.sum += value;
  }
}
