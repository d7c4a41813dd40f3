// Answers that are there at once from the embedded registry, and later from a server. Waiting for what is there already would
// cost a turn of the event loop a connect.

import type { NowOrLater } from '../../registry/registry.ts';

export function whenKnown<T, U>(value: NowOrLater<T>, next: (value: T) => NowOrLater<U>): NowOrLater<U> {
  return value instanceof Promise ? after(value, next) : next(value);
}

async function after<T, U>(value: Promise<T>, next: (value: T) => NowOrLater<U>): Promise<U> {
  return next(await value);
}

/** All of them; at once if each is there. */
export function allKnown<T extends readonly unknown[]>(values: { readonly [I in keyof T]: NowOrLater<T[I]> }): NowOrLater<T> {
  const all = values as readonly unknown[];
  return all.some((value) => value instanceof Promise) ? (Promise.all(all) as unknown as Promise<T>) : (all as unknown as T);
}
