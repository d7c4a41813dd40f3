// Registers a test as proof of statements of CoAP's RFCs, and remembers which ones passed.
//
//   conforms('7252/4.2-1 7252/4.2-2', 'a confirmable request is acknowledged', () => { … });

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
