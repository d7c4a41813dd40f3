// Registers a test as proof of statements of CoAP's RFCs, and remembers which ones passed.
//
//   conforms('7252/4.2-1 7252/4.2-2', 'a confirmable request is acknowledged', () => { … });
//   beside('7959/2.2-1', 'src/protocols/coap/block/request-assembly.test.ts', 'blocks that are none');

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import test from 'node:test';

type Proof = { readonly name: string; passed: boolean };

/** Tests by the statements that they prove. */
export const proofs = new Map<string, Proof[]>();

export function conforms(statements: string, name: string, body: () => void | Promise<void>): void {
  const proof: Proof = { name: `CoAP [${statements.replaceAll(' ', '] [')}] ${name}`, passed: false };
  for (const id of statements.split(' ')) {
    const known = proofs.get(id);
    if (known === undefined) proofs.set(id, [proof]);
    else known.push(proof);
  }
  test(proof.name, async () => {
    await body();
    proof.passed = true;
  });
}

/**
 * The proof stands beside the code: a test in `file`, whose name begins with `name`. It runs with all others; here it is only seen to that
 * it is there.
 */
export function beside(statements: string, file: string, name: string): void {
  conforms(statements, `${file}: ${name}`, () => {
    const source = readFileSync(new URL(`../../../${file}`, import.meta.url), 'utf8');
    assert.ok(source.includes(`test('${name}`), 'there is no such test');
  });
}
