// How SQL is written once for both stores: an operation is a generator that yields statements and is given their rows. SQLite
// runs it at once, PostgreSQL awaits each step. The text is what both understand; `?` marks a value.

export type Value = string | number | null | Uint8Array;
export type Row = Readonly<Record<string, Value>>;
export type Statement = { readonly text: string; readonly values: readonly Value[] };
export type Steps<T> = Generator<Statement, T, readonly Row[]>;

/** Runs one statement; also one that writes gives rows only (RETURNING). */
export function* rows(text: string, values: readonly Value[]): Steps<readonly Row[]> {
  return yield { text, values };
}

/** The first row, if there is one. */
export function* row(text: string, values: readonly Value[]): Steps<Row | undefined> {
  return (yield { text, values })[0];
}
