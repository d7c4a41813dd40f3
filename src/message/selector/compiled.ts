// From a tree to closures. A condition is true, false or unknown (undefined), SQL's three values (§3.8.1.2, §3.8.1.3).

import type { Message } from '../message.ts';
import { fieldOf, type Reader, type Value } from './fields.ts';
import { isLike } from './like.ts';
import type { ArithmeticOperator, ComparisonOperator, Node } from './parser.ts';

type Condition = (message: Message) => boolean | undefined;

/** True, false, or undefined for unknown. */
export function compiled(node: Node): Condition {
  switch (node.kind) {
    case 'and':
      return both(compiled(node.left), compiled(node.right));
    case 'or':
      return either(compiled(node.left), compiled(node.right));
    case 'not': {
      const of = compiled(node.of);
      return (message) => {
        const value = of(message);
        return value === undefined ? undefined : !value;
      };
    }
    case 'comparison':
      return comparison(node.operator, node.left, node.right);
    case 'in': {
      const of = plain(node.of);
      const { values } = node;
      return (message) => {
        const value = of(message);
        return value === undefined ? undefined : values.has(value as string);
      };
    }
    case 'like': {
      const of = plain(node.of);
      const { pattern } = node;
      return (message) => {
        const value = of(message);
        return value === undefined ? undefined : typeof value === 'string' && isLike(pattern, value);
      };
    }
    case 'isNull': {
      const of = plain(node.of);
      return (message) => of(message) === undefined;
    }
    default: {
      const of = plain(node);
      // An identifier alone, as a condition: what is not a truth is not true.
      return (message) => {
        const value = of(message);
        return value === undefined ? undefined : value === true;
      };
    }
  }
}

function both(left: Condition, right: Condition): Condition {
  return (message) => {
    const one = left(message);
    if (one === false) return false;
    const two = right(message);
    return two === false ? false : one && two;
  };
}

function either(left: Condition, right: Condition): Condition {
  return (message) => {
    const one = left(message);
    if (one === true) return true;
    const two = right(message);
    if (two === true) return true;
    return one === undefined || two === undefined ? undefined : false;
  };
}

function comparison(operator: ComparisonOperator, left: Node, right: Node): Condition {
  const one = plain(left);
  if ((operator === '=' || operator === '<>') && right.kind === 'literal' && typeof right.value === 'string') {
    return sameText(one, right.value, operator === '=');
  }
  const two = plain(right);
  const compare = comparators[operator];
  return (message) => {
    const first = one(message);
    if (first === undefined) return undefined;
    const second = two(message);
    return second === undefined ? undefined : compare(first, second);
  };
}

function sameText(read: Reader, text: string, wanted: boolean): Condition {
  return (message) => {
    const value = read(message);
    if (value === undefined) return undefined;
    return typeof value === 'string' && (value === text) === wanted;
  };
}

// §3.8.1.1: values of different sorts are neither equal nor unequal, the answer is false. JavaScript compares a bigint with a number
// by their exact values, without rounding either.
const comparators: Readonly<Record<ComparisonOperator, (left: Value, right: Value) => boolean>> = {
  // oxlint-disable-next-line eqeqeq -- 1n == 1
  '=': (left, right) => (isNumber(left) && isNumber(right) ? left == right : typeof left !== 'object' && left === right),
  '<>': (left, right) => {
    // oxlint-disable-next-line eqeqeq -- 1n == 1
    if (isNumber(left)) return isNumber(right) && left != right;
    return typeof left === typeof right && typeof left !== 'object' && left !== right;
  },
  '<': (left, right) => isNumber(left) && isNumber(right) && left < right,
  '<=': (left, right) => isNumber(left) && isNumber(right) && left <= right,
  '>': (left, right) => isNumber(left) && isNumber(right) && left > right,
  '>=': (left, right) => isNumber(left) && isNumber(right) && left >= right,
};

function isNumber(value: Value): value is number | bigint {
  return typeof value === 'number' || typeof value === 'bigint';
}

/** The value as comparisons want it. */
function plain(node: Node): Reader {
  switch (node.kind) {
    case 'field':
      return fieldOf(node.name).plain;
    case 'literal': {
      // A number where it says the same: comparing two of them is quicker.
      const { value } = node;
      const cheap = typeof value === 'bigint' && Number.isSafeInteger(Number(value)) ? Number(value) : value;
      return () => cheap;
    }
    default:
      return exact(node);
  }
}

/** The value as arithmetic wants it: exact numbers are bigints. */
function exact(node: Node): Reader {
  switch (node.kind) {
    case 'field':
      return fieldOf(node.name).exact;
    case 'literal': {
      const { value } = node;
      return () => value;
    }
    case 'negate': {
      const of = exact(node.of);
      return (message) => {
        const value = of(message);
        if (typeof value === 'bigint') return BigInt.asIntN(64, -value);
        return typeof value === 'number' ? -value : undefined;
      };
    }
    case 'arithmetic': {
      const left = exact(node.left);
      const right = exact(node.right);
      const { operator } = node;
      return (message) => calculated(operator, left(message), right(message));
    }
    default:
      return compiled(node);
  }
}

/** Two exact numbers give an exact one of 64 bits, as in Java; with an approximate one the result is approximate. */
function calculated(operator: ArithmeticOperator, left: Value, right: Value): Value {
  // What is no number has no sum: unknown.
  if (!isNumber(left) || !isNumber(right)) return undefined;
  if (typeof left === 'bigint' && typeof right === 'bigint') {
    if (operator === '/' && right === 0n) return undefined;
    return BigInt.asIntN(64, exactly(operator, left, right));
  }
  return roughly(operator, Number(left), Number(right));
}

function exactly(operator: ArithmeticOperator, left: bigint, right: bigint): bigint {
  if (operator === '+') return left + right;
  if (operator === '-') return left - right;
  return operator === '*' ? left * right : left / right;
}

function roughly(operator: ArithmeticOperator, left: number, right: number): number {
  if (operator === '+') return left + right;
  if (operator === '-') return left - right;
  return operator === '*' ? left * right : left / right;
}
