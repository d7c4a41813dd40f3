// Selectors made at random, against an evaluator that is as plain as can be: it walks the tree that the text was written from.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import type { TypedValue } from '../attributes.ts';
import { Message } from '../message.ts';
import { parseSelector } from './selector.ts';

type Known =
  | { readonly sort: 'exact'; readonly value: bigint }
  | { readonly sort: 'rough' | 'text' | 'truth'; readonly value: number | string | boolean };
type Tree =
  | { readonly op: 'literal'; readonly text: string; readonly value: Known }
  | { readonly op: 'field'; readonly name: string }
  | { readonly op: string; readonly of: readonly Tree[] };

const names = ['a', 'b', 'c'];
const numbers = fc.oneof(
  fc.bigInt({ min: -5n, max: 5n }).map((value): Tree => ({ op: 'literal', text: `${value}`, value: { sort: 'exact', value } })),
  fc.constantFrom(0.5, 2, 1.25).map((value): Tree => ({ op: 'literal', text: value.toFixed(2), value: { sort: 'rough', value } })),
);
const field = fc.constantFrom(...names).map((name): Tree => ({ op: 'field', name }));
const literalText = fc.constantFrom('x', 'y').map((value): Tree => ({ op: 'literal', text: `'${value}'`, value: { sort: 'text', value } }));
const truths = fc.boolean().map((value): Tree => ({ op: 'literal', text: value ? 'True' : 'false', value: { sort: 'truth', value } }));

const { condition } = fc.letrec<{ number: Tree; condition: Tree }>((tie) => {
  const pair = (of: fc.Arbitrary<Tree>, ...ops: string[]): fc.Arbitrary<Tree> =>
    fc.tuple(fc.constantFrom(...ops), of, of).map(([op, left, right]) => ({ op, of: [left, right] }));
  return {
    number: fc.oneof(
      { depthSize: 'small' },
      numbers,
      field,
      pair(tie('number'), '+', '-', '*', '/'),
      tie('number').map((of) => ({ op: 'negate', of: [of] })),
    ),
    condition: fc.oneof(
      { depthSize: 'medium' },
      truths,
      field,
      pair(tie('number'), '=', '<>', '<', '<=', '>', '>='),
      pair(fc.oneof(field, literalText, truths, tie('number')), '=', '<>'),
      pair(tie('condition'), 'AND', 'OR'),
      tie('condition').map((of) => ({ op: 'NOT', of: [of] })),
      fc.oneof(field, tie('condition')).map((of) => ({ op: 'IS NULL', of: [of] })),
      fc.tuple(tie('number'), tie('number'), tie('number')).map((of) => ({ op: 'BETWEEN', of })),
    ),
  };
});

function written(tree: Tree): string {
  if ('name' in tree) return tree.name;
  if ('text' in tree) return tree.text;
  const [a = '', b = '', c = ''] = tree.of.map((child) => `(${written(child)})`);
  if (tree.op === 'NOT') return `NOT ${a}`;
  if (tree.op === 'negate') return `- ${a}`;
  if (tree.op === 'IS NULL') return `${a} IS NULL`;
  return tree.op === 'BETWEEN' ? `${a} BETWEEN ${b} AND ${c}` : `${a} ${tree.op} ${b}`;
}

type Values = Readonly<Record<string, Known | undefined>>;
const truth = (value: boolean | undefined): Known | undefined => (value === undefined ? undefined : { sort: 'truth', value });

function naive(tree: Tree, values: Values): Known | undefined {
  if ('name' in tree) return values[tree.name];
  if ('text' in tree) return tree.value;
  const [a, b, c] = tree.of.map((child) => naive(child, values));
  switch (tree.op) {
    case 'NOT':
      return a && truth(!asTruth(a));
    case 'AND':
      return kleene(a, b, false);
    case 'OR':
      return kleene(a, b, true);
    case 'IS NULL':
      return truth(a === undefined);
    case 'BETWEEN':
      return kleene(compared('>=', a, b), compared('<=', a, c), false);
    case 'negate':
      // Not 0 - a: that has another zero.
      return sum('*', { sort: 'exact', value: -1n }, a);
    case '+':
    case '-':
    case '*':
    case '/':
      return sum(tree.op, a, b);
    default:
      return compared(tree.op, a, b);
  }
}

function kleene(a: Known | undefined, b: Known | undefined, deciding: boolean): Known | undefined {
  for (const one of [a, b]) if (one !== undefined && asTruth(one) === deciding) return truth(deciding);
  return a === undefined || b === undefined ? undefined : truth(!deciding);
}

function asTruth(value: Known): boolean {
  return value.value === true;
}

function sum(op: string, a: Known | undefined, b: Known | undefined): Known | undefined {
  if (a === undefined || b === undefined || !isNumber(a) || !isNumber(b)) return undefined;
  if (a.sort === 'exact' && b.sort === 'exact') {
    if (op === '/' && b.value === 0n) return undefined;
    const value = op === '+' ? a.value + b.value : op === '-' ? a.value - b.value : op === '*' ? a.value * b.value : a.value / b.value;
    return { sort: 'exact', value: BigInt.asIntN(64, value) };
  }
  const [x, y] = [Number(a.value), Number(b.value)];
  return { sort: 'rough', value: op === '+' ? x + y : op === '-' ? x - y : op === '*' ? x * y : x / y };
}

function isNumber(value: Known): boolean {
  return value.sort === 'exact' || value.sort === 'rough';
}

function compared(op: string, a: Known | undefined, b: Known | undefined): Known | undefined {
  if (a === undefined || b === undefined) return undefined;
  if (isNumber(a) !== isNumber(b) || (!isNumber(a) && a.sort !== b.sort)) return truth(false);
  if (!isNumber(a) && op !== '=' && op !== '<>') return truth(false);
  const less = a.value < b.value;
  const more = a.value > b.value;
  const same = !less && !more && !Number.isNaN(a.value) && !Number.isNaN(b.value);
  const unordered = !less && !more && !same;
  const answers: Readonly<Record<string, boolean>> = {
    '=': same,
    '<>': less || more || unordered,
    '<': less,
    '>': more,
    '<=': less || same,
    '>=': more || same,
  };
  return truth(answers[op]);
}

const typed = fc.option(
  fc.oneof(
    fc.integer({ min: -4, max: 4 }).map((value): TypedValue => ({ type: 'int', value })),
    fc.bigInt({ min: -4n, max: 4n }).map((value): TypedValue => ({ type: 'long', value })),
    fc.constantFrom(0.5, -1.25, 3).map((value): TypedValue => ({ type: 'double', value })),
    fc.constantFrom('x', 'z').map((value): TypedValue => ({ type: 'string', value })),
    fc.boolean().map((value): TypedValue => ({ type: 'boolean', value })),
  ),
  { nil: undefined },
);

function known(value: TypedValue | undefined): Known | undefined {
  if (value === undefined) return undefined;
  if (value.type === 'int' || value.type === 'long') return { sort: 'exact', value: BigInt(value.value) };
  if (value.type === 'double') return { sort: 'rough', value: value.value };
  return value.type === 'boolean' ? { sort: 'truth', value: value.value } : { sort: 'text', value: value.value as string };
}

test('a selector says what the plainest evaluator says', () => {
  let decided = 0;
  fc.assert(
    fc.property(condition, fc.tuple(typed, typed, typed), (tree, values) => {
      const properties = names.flatMap((key, i) => (values[i] === undefined ? [] : [{ key, value: values[i] }]));
      const message = new Message('t', Buffer.from('t'), new Uint8Array(0), 0, 0, 1, false, 4, 0, 0, '', { properties });
      const expected = naive(tree, Object.fromEntries(names.map((name, i) => [name, known(values[i])])));
      for (const [text, wanted] of [
        [written(tree), expected?.value === true],
        [`NOT (${written(tree)})`, expected !== undefined && expected.value !== true],
      ] as const) {
        const parsed = parseSelector(text);
        assert.ok(parsed.ok, `${text}: ${parsed.ok ? '' : parsed.fault.message}`);
        assert.equal(parsed.selector.matches(message), wanted, text);
        if (wanted) decided++;
      }
    }),
    { numRuns: 3_000 },
  );
  assert.ok(decided > 1_000, `only ${decided} of the selectors were decided`);
});
