// When a statement holds. All times are UTC: a policy means the same on every node, and on the day the clocks change.

export const days = ['mon', 'tue', 'wed', 'thu', 'fri', 'sat', 'sun'] as const;
export type Day = (typeof days)[number];

/**
 * `from` and `until` are times of day as HH:MM; `until` itself is outside. When `until` is not after `from` the window runs over
 * midnight, and `days` names the days on which it begins. `notBefore` and `notAfter` are moments as 2026-01-31T00:00:00Z.
 */
export type TimeCondition = {
  readonly days?: readonly Day[];
  readonly from?: string;
  readonly until?: string;
  readonly notBefore?: string;
  readonly notAfter?: string;
  readonly zone?: 'UTC';
};

const dayMs = 86_400_000;

/** Milliseconds since midnight; undefined when it is no time of day. 24:00 is the end of the day. */
export function timeOfDay(text: string): number | undefined {
  const parts = /^([01]\d|2[0-4]):([0-5]\d)$/.exec(text);
  if (parts === null || (parts[1] === '24' && parts[2] !== '00')) return undefined;
  return (Number(parts[1]) * 60 + Number(parts[2])) * 60_000;
}

/** Milliseconds since 1970; undefined when it is no moment of the calendar. */
export function momentOf(text: string): number | undefined {
  if (!/^\d{4}-\d\d-\d\dT\d\d:\d\d(?::\d\d)?Z$/.test(text)) return undefined;
  const ms = Date.parse(text);
  // What the calendar does not have (February 30) is read as another day by some.
  return Number.isNaN(ms) || !new Date(ms).toISOString().startsWith(text.slice(0, 16)) ? undefined : ms;
}

export class TimeWindow {
  readonly #days: ReadonlySet<number> | undefined;
  readonly #from: number;
  readonly #until: number;
  readonly #notBefore: number;
  readonly #notAfter: number;

  /** `condition` must have been checked. */
  constructor({ days: named, from, until, notBefore, notAfter }: TimeCondition) {
    this.#days = named && new Set(named.map((day) => days.indexOf(day)));
    this.#from = from === undefined ? 0 : timeOfDay(from)!;
    this.#until = until === undefined ? dayMs : timeOfDay(until)!;
    this.#notBefore = notBefore === undefined ? -Infinity : momentOf(notBefore)!;
    this.#notAfter = notAfter === undefined ? Infinity : momentOf(notAfter)!;
  }

  holds(nowMs: number): boolean {
    if (nowMs < this.#notBefore || nowMs >= this.#notAfter) return false;
    const since = ((nowMs % dayMs) + dayMs) % dayMs;
    if (this.#from < this.#until) return since >= this.#from && since < this.#until && this.#hasDay(nowMs);
    if (since >= this.#from) return this.#hasDay(nowMs);
    return since < this.#until && this.#hasDay(nowMs - dayMs);
  }

  /** The next moment after `nowMs` at which the answer may change; Infinity: never. */
  nextChangeMs(nowMs: number): number {
    const midnight = Math.floor(nowMs / dayMs) * dayMs;
    let next = Infinity;
    for (const moment of [this.#notBefore, this.#notAfter]) if (moment > nowMs) next = Math.min(next, moment);
    if (this.#from === 0 && this.#until === dayMs && this.#days === undefined) return next;
    for (const since of [this.#from, this.#until, dayMs]) {
      const moment = midnight + since;
      next = Math.min(next, moment > nowMs ? moment : moment + dayMs);
    }
    return next;
  }

  #hasDay(ms: number): boolean {
    // 1970-01-01 was a Thursday.
    return this.#days === undefined || this.#days.has((((Math.floor(ms / dayMs) + 3) % 7) + 7) % 7);
  }
}
