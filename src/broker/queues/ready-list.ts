// What waits in a queue, in the order in which it is to be delivered: higher levels first, within a level by position. A list
// through the entries themselves: each can leave from its middle, and waiting costs no memory besides.

import type { Entry } from './queue.ts';

export class ReadyList {
  #first: Entry | undefined = undefined;
  #last: Entry | undefined = undefined;
  #length = 0;
  /** The last entry of each level; made when a second level comes into use. */
  #tails: (Entry | undefined)[] | undefined = undefined;

  get length(): number {
    return this.#length;
  }

  get first(): Entry | undefined {
    return this.#first;
  }

  /** The first entry of a level. */
  firstOf(level: number): Entry | undefined {
    const tails = this.#tails;
    if (tails === undefined) return this.#first?.level === level ? this.#first : undefined;
    if (tails[level] === undefined) return undefined;
    const above = this.#tailAbove(level);
    return above === undefined ? this.#first : above.after;
  }

  /** The level of the last entry: none waits on a lower one. */
  get lowestLevel(): number {
    return this.#last?.level ?? 0;
  }

  /** An entry with a higher position than all of its level. */
  push(entry: Entry): void {
    const last = this.#last;
    if (last === undefined || (this.#tails === undefined && last.level === entry.level)) this.#link(last, entry);
    else this.#link(this.#tailFrom(entry.level), entry);
  }

  /**
   * Puts an entry back to its place. Costs as much as entries of its level stand before it, or after `hint`, which waits before it:
   * few, where entries were taken from the front.
   */
  insert(entry: Entry, hint?: Entry): void {
    const { level, position } = entry;
    const last = this.#last;
    if (last === undefined || (last.level === level && last.position < position)) return this.push(entry);
    let before = hint?.level === level ? hint : this.#beforeLevel(level);
    let next = before === undefined ? this.#first : before.after;
    while (next !== undefined && next.level === level && next.position < position) {
      before = next;
      next = next.after;
    }
    this.#link(before, entry);
  }

  #beforeLevel(level: number): Entry | undefined {
    const isAlone = this.#tails === undefined && this.#last?.level === level;
    return isAlone ? undefined : this.#tailAbove(level);
  }

  #tailAbove(level: number): Entry | undefined {
    const tails = this.#levels();
    for (let above = level + 1; above < tails.length; above++) if (tails[above] !== undefined) return tails[above];
    return undefined;
  }

  #tailFrom(level: number): Entry | undefined {
    return this.#levels()[level] ?? this.#tailAbove(level);
  }

  #levels(): (Entry | undefined)[] {
    if (this.#tails !== undefined) return this.#tails;
    const tails: (Entry | undefined)[] = Array.from({ length: levels }, () => undefined);
    if (this.#last !== undefined) tails[this.#last.level] = this.#last;
    return (this.#tails = tails);
  }

  #link(before: Entry | undefined, entry: Entry): void {
    const after = before === undefined ? this.#first : before.after;
    entry.before = before;
    entry.after = after;
    if (before === undefined) this.#first = entry;
    else before.after = entry;
    if (after === undefined) this.#last = entry;
    else after.before = entry;
    entry.waits = true;
    this.#length++;
    const tails = this.#tails;
    if (tails !== undefined && (after === undefined || after.level !== entry.level)) tails[entry.level] = entry;
  }

  shift(): Entry | undefined {
    const first = this.#first;
    if (first !== undefined) this.remove(first);
    return first;
  }

  remove(entry: Entry): void {
    const { before, after } = entry;
    if (before === undefined) this.#first = after;
    else before.after = after;
    if (after === undefined) this.#last = before;
    else after.before = before;
    entry.before = entry.after = undefined;
    entry.waits = false;
    this.#length--;
    const tails = this.#tails;
    if (tails === undefined) return;
    if (this.#length === 0) this.#tails = undefined;
    else if (tails[entry.level] === entry) tails[entry.level] = before?.level === entry.level ? before : undefined;
  }

  toArray(): Entry[] {
    const entries: Entry[] = [];
    for (let entry = this.#first; entry !== undefined; entry = entry.after) entries.push(entry);
    return entries;
  }
}

/** As priorities: 0 to 9. */
export const levels = 10;
