// From text to a tree. By descent, one function a level of precedence: OR, AND, NOT, comparison, + and -, * and /, signs, primary.
// What can never have a meaning whatever the message is refused here: 'a' + 1, NOT 5, name < 'b' (§3.8.1.1).

import { beyondLong, SelectorProblem, tokenAt, type Token } from './tokens.ts';
import { fieldProblem } from './fields.ts';
import { likePattern, type LikePattern } from './like.ts';

export type ComparisonOperator = '=' | '<>' | '<' | '<=' | '>' | '>=';
export type ArithmeticOperator = '+' | '-' | '*' | '/';

export type Node =
  | { readonly kind: 'literal'; readonly value: bigint | number | string | boolean }
  | { readonly kind: 'field'; readonly name: string }
  | { readonly kind: 'and' | 'or'; readonly left: Node; readonly right: Node }
  | { readonly kind: 'not' | 'negate'; readonly of: Node }
  | { readonly kind: 'comparison'; readonly operator: ComparisonOperator; readonly left: Node; readonly right: Node }
  | { readonly kind: 'arithmetic'; readonly operator: ArithmeticOperator; readonly left: Node; readonly right: Node }
  | { readonly kind: 'in'; readonly of: Node; readonly values: ReadonlySet<string> }
  | { readonly kind: 'like'; readonly of: Node; readonly pattern: LikePattern }
  | { readonly kind: 'isNull'; readonly of: Node };

/** What a node can be before a message is known. */
type Sort = 'boolean' | 'number' | 'string' | 'any';

const comparisons: ReadonlySet<string> = new Set(['=', '<>', '<', '<=', '>', '>=']);

/** Throws SelectorProblem. */
export function tree(text: string, maxTerms: number, maxDepth: number): Node {
  const parser = new Parser(text, maxTerms, maxDepth);
  return parser.whole();
}

class Parser {
  readonly #text: string;
  readonly #maxDepth: number;
  #termsLeft: number;
  #depth = 0;
  #token: Token;
  #end: number;

  constructor(text: string, maxTerms: number, maxDepth: number) {
    this.#text = text;
    this.#termsLeft = maxTerms;
    this.#maxDepth = maxDepth;
    const { token, end } = tokenAt(text, 0);
    this.#token = token;
    this.#end = end;
  }

  whole(): Node {
    const node = this.#must('boolean', this.#or());
    if (this.#token.kind !== 'end') throw this.#unexpected('an operator');
    return node;
  }

  #or(): Node {
    let left = this.#and();
    while (this.#takes('keyword', 'OR')) {
      left = this.#term({ kind: 'or', left: this.#must('boolean', left), right: this.#must('boolean', this.#and()) });
    }
    return left;
  }

  #and(): Node {
    let left = this.#not();
    while (this.#takes('keyword', 'AND')) {
      left = this.#term({ kind: 'and', left: this.#must('boolean', left), right: this.#must('boolean', this.#not()) });
    }
    return left;
  }

  #not(): Node {
    if (!this.#takes('keyword', 'NOT')) return this.#comparison();
    return this.#deeper(() => this.#term({ kind: 'not', of: this.#must('boolean', this.#not()) }));
  }

  #comparison(): Node {
    const left = this.#sum();
    const { token } = this;
    if (token.kind === 'sign' && comparisons.has(token.text)) {
      this.#next();
      return this.#compared(token.text as ComparisonOperator, left, this.#sum());
    }
    if (this.#takes('keyword', 'IS')) {
      const negated = this.#takes('keyword', 'NOT');
      this.#needs('keyword', 'NULL');
      return this.#perhapsNot(negated, this.#term({ kind: 'isNull', of: left }));
    }
    const negated = this.#takes('keyword', 'NOT');
    if (this.#takes('keyword', 'BETWEEN')) return this.#perhapsNot(negated, this.#between(left));
    if (this.#takes('keyword', 'IN')) return this.#perhapsNot(negated, this.#in(left));
    if (this.#takes('keyword', 'LIKE')) return this.#perhapsNot(negated, this.#like(left));
    if (negated) throw this.#unexpected('BETWEEN, IN or LIKE');
    return left;
  }

  #compared(operator: ComparisonOperator, left: Node, right: Node): Node {
    // §3.8.1.1: text and truth can only be compared for equality.
    if (operator !== '=' && operator !== '<>') {
      this.#must('number', left);
      this.#must('number', right);
    }
    return this.#term({ kind: 'comparison', operator, left, right });
  }

  #between(of: Node): Node {
    const low = this.#sum();
    this.#needs('keyword', 'AND');
    const high = this.#sum();
    return this.#term({ kind: 'and', left: this.#compared('>=', of, low), right: this.#compared('<=', of, high) });
  }

  #in(of: Node): Node {
    this.#must('string', of);
    this.#needs('sign', '(');
    const values = new Set<string>();
    do {
      const { token } = this;
      if (token.kind !== 'string') throw this.#unexpected("a text in '…'");
      this.#count();
      values.add(token.value);
      this.#next();
    } while (this.#takes('sign', ','));
    this.#needs('sign', ')');
    return this.#term({ kind: 'in', of, values });
  }

  #like(of: Node): Node {
    this.#must('string', of);
    const { token } = this;
    if (token.kind !== 'string') throw this.#unexpected("a pattern in '…'");
    this.#next();
    let escape: string | undefined;
    if (this.#takes('keyword', 'ESCAPE')) {
      const { token: mark } = this;
      if (mark.kind !== 'string' || !/^.$/su.test(mark.value)) throw new SelectorProblem("ESCAPE needs one character in '…'", mark.at);
      escape = mark.value;
      this.#next();
    }
    const pattern = likePattern(token.value, escape);
    if (pattern === undefined) throw new SelectorProblem('the pattern ends with its escape character', token.at);
    return this.#term({ kind: 'like', of, pattern });
  }

  #sum(): Node {
    let left = this.#product();
    for (;;) {
      const operator = this.#takes('sign', '+') ? '+' : this.#takes('sign', '-') ? '-' : undefined;
      if (operator === undefined) return left;
      left = this.#term({ kind: 'arithmetic', operator, left: this.#must('number', left), right: this.#must('number', this.#product()) });
    }
  }

  #product(): Node {
    let left = this.#signed();
    for (;;) {
      const operator = this.#takes('sign', '*') ? '*' : this.#takes('sign', '/') ? '/' : undefined;
      if (operator === undefined) return left;
      left = this.#term({ kind: 'arithmetic', operator, left: this.#must('number', left), right: this.#must('number', this.#signed()) });
    }
  }

  #signed(): Node {
    if (this.#takes('sign', '+')) return this.#deeper(() => this.#must('number', this.#signed()));
    if (!this.#takes('sign', '-')) return this.#primary();
    const { token } = this;
    // Together, because the smallest long has no positive counterpart.
    if (token.kind === 'number') {
      this.#next();
      return this.#term({ kind: 'literal', value: -token.value });
    }
    return this.#deeper(() => this.#term({ kind: 'negate', of: this.#must('number', this.#signed()) }));
  }

  #primary(): Node {
    const { token } = this;
    switch (token.kind) {
      case 'number':
        if (token.value === beyondLong) throw new SelectorProblem('the number is too large', token.at);
        this.#next();
        return this.#term({ kind: 'literal', value: token.value });
      case 'string':
        this.#next();
        return this.#term({ kind: 'literal', value: token.value });
      case 'identifier': {
        const problem = fieldProblem(token.text);
        if (problem !== undefined) throw new SelectorProblem(problem, token.at);
        this.#next();
        return this.#term({ kind: 'field', name: token.text });
      }
      default:
    }
    if (this.#takes('keyword', 'TRUE')) return this.#term({ kind: 'literal', value: true });
    if (this.#takes('keyword', 'FALSE')) return this.#term({ kind: 'literal', value: false });
    if (!this.#takes('sign', '(')) throw this.#unexpected('an identifier, a literal or (');
    const inner = this.#deeper(() => this.#or());
    this.#needs('sign', ')');
    return inner;
  }

  get token(): Token {
    return this.#token;
  }

  #perhapsNot(negated: boolean, of: Node): Node {
    return negated ? this.#term({ kind: 'not', of }) : of;
  }

  #deeper(parse: () => Node): Node {
    if (++this.#depth > this.#maxDepth) throw new SelectorProblem(`a selector must not nest deeper than ${this.#maxDepth}`, this.#token.at);
    const node = parse();
    this.#depth--;
    return node;
  }

  #term(node: Node): Node {
    this.#count();
    return node;
  }

  #count(): void {
    if (--this.#termsLeft < 0) throw new SelectorProblem('a selector has too many terms', this.#token.at);
  }

  #must(sort: Sort, node: Node): Node {
    const actual = sortOf(node);
    if (actual !== 'any' && actual !== sort) {
      throw new SelectorProblem(`${words[sort]} is needed here, not ${words[actual]}`, this.#token.at);
    }
    return node;
  }

  #takes(kind: 'keyword' | 'sign', text: string): boolean {
    const token = this.#token;
    if (token.kind !== kind || token.text !== text) return false;
    this.#next();
    return true;
  }

  #needs(kind: 'keyword' | 'sign', text: string): void {
    if (!this.#takes(kind, text)) throw this.#unexpected(text);
  }

  #next(): void {
    const { token, end } = tokenAt(this.#text, this.#end);
    this.#token = token;
    this.#end = end;
  }

  #unexpected(wanted: string): SelectorProblem {
    const token = this.#token;
    const found = token.kind === 'end' ? 'the end' : JSON.stringify(this.#text.slice(token.at, this.#end));
    return new SelectorProblem(`${wanted} is needed here, not ${found}`, token.at);
  }
}

const words: Readonly<Record<Sort, string>> = { boolean: 'a condition', number: 'a number', string: 'a text', any: 'a value' };

function sortOf(node: Node): Sort {
  switch (node.kind) {
    case 'literal':
      return typeof node.value === 'bigint' ? 'number' : (typeof node.value as Sort);
    case 'field':
      return 'any';
    case 'arithmetic':
    case 'negate':
      return 'number';
    default:
      return 'boolean';
  }
}
