// Ids of events of a named subscription. An id says which deliveries the peer has seen when it has seen this one: all that were written
// since those that are acknowledged. So a peer acknowledges by the last id it has (Last-Event-ID), and no message that it has not seen
// is taken for seen: not when messages overtake each other, nor when the subscription has been made anew meanwhile.
//
//   id = runs, joined by '.';  run = epoch '-' first position [ '-' number of positions ], each in base 36

type Run = { readonly epoch: number; readonly first: number; last: number };

/** Longer ids could not be sent back in a header. */
const maxRuns = 64;
const maxIdLength = 2048;

export class EventIds {
  #runs: Run[] = [];

  /** An id can hold no more: the peer must acknowledge first. */
  get isFull(): boolean {
    return this.#runs.length >= maxRuns;
  }

  /** The id of the event that tells of this delivery. */
  add(epoch: number, position: number): string {
    // Those of several queues come in turn.
    const last = this.#runs.findLast((run) => run.epoch === epoch);
    if (last !== undefined && last.last + 1 === position) last.last = position;
    else this.#runs.push({ epoch, first: position, last: position });
    return this.#text();
  }

  /** They are acknowledged. */
  drop(seen: SeenDeliveries): void {
    this.#runs = this.#runs.flatMap((run) => seen.without(run));
  }

  #text(): string {
    return this.#runs
      .map(({ epoch, first, last }) => {
        const start = `${epoch.toString(36)}-${first.toString(36)}`;
        return last === first ? start : `${start}-${(last - first + 1).toString(36)}`;
      })
      .join('.');
  }
}

export class SeenDeliveries {
  readonly #runs: readonly Run[];

  constructor(runs: readonly Run[]) {
    this.#runs = runs;
  }

  has(epoch: number, position: number): boolean {
    return this.#runs.some((run) => run.epoch === epoch && run.first <= position && position <= run.last);
  }

  /** What is left of a run. */
  without(run: Run): Run[] {
    let left = [run];
    for (const { epoch, first, last } of this.#runs) {
      left = left.flatMap((each) => {
        if (each.epoch !== epoch || last < each.first || first > each.last) return [each];
        const parts: Run[] = [];
        if (each.first < first) parts.push({ epoch, first: each.first, last: first - 1 });
        if (each.last > last) parts.push({ epoch, first: last + 1, last: each.last });
        return parts;
      });
    }
    return left;
  }
}

/** Undefined: it is no id of ours. */
export function readEventId(text: string): SeenDeliveries | undefined {
  if (text.length > maxIdLength) return undefined;
  const runs: Run[] = [];
  for (const part of text.split('.')) {
    const found = /^([0-9a-z]{1,6})-([0-9a-z]{1,10})(?:-([0-9a-z]{1,6}))?$/.exec(part);
    if (found === null) return undefined;
    const [epoch, first, length] = [found[1]!, found[2]!, found[3] ?? '1'].map((each) => Number.parseInt(each, 36)) as [
      number,
      number,
      number,
    ];
    if (length < 1 || !Number.isSafeInteger(first + length)) return undefined;
    runs.push({ epoch, first, last: first + length - 1 });
  }
  return new SeenDeliveries(runs);
}
