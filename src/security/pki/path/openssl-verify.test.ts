// `openssl verify` is asked of the same chains, and of many made at random.

import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import { PathValidator } from './path-validator.ts';
import { pathCases } from './testing/path-cases.ts';
import { nowMs } from './testing/path-maker.ts';
import type { PathCert } from './testing/path-maker.ts';
import { randomChain } from './testing/random-chain.ts';

const { stdout, error } = spawnSync('openssl', ['version'], { encoding: 'utf8' });
const skip = error === undefined && stdout.startsWith('OpenSSL 3.') ? false : 'openssl 3 is not installed';

class Oracle {
  readonly #folder: string;

  constructor(t: TestContext) {
    this.#folder = mkdtempSync(join(tmpdir(), 'paths-'));
    t.after(() => rmSync(this.#folder, { recursive: true }));
  }

  /** What it says against the chain; undefined: nothing. */
  fault(trusted: readonly PathCert[], [own, ...others]: readonly PathCert[]): string | undefined {
    const args = ['verify', '-purpose', 'sslclient', '-auth_level', '2', '-attime', String(nowMs / 1000), '-no-CApath', '-no-CAstore'];
    const result = spawnSync(
      'openssl',
      [
        ...args,
        ...(trusted.length === 0 ? ['-no-CAfile'] : ['-CAfile', this.#file('trusted', trusted)]),
        ...(others.length === 0 ? [] : ['-untrusted', this.#file('others', others)]),
        this.#file('own', [own!]),
      ],
      { encoding: 'utf8' },
    );
    return result.status === 0 ? undefined : (/error \d+.*/.exec(result.stderr)?.[0] ?? (result.stderr || 'no answer'));
  }

  #file(name: string, certificates: readonly PathCert[]): string {
    const path = join(this.#folder, `${name}.pem`);
    writeFileSync(path, certificates.map(({ pem }) => pem).join(''));
    return path;
  }
}

test('OpenSSL says the same of every case, but for those that are told', { skip }, (t) => {
  const oracle = new Oracle(t);
  for (const { name, trusted, chain, fault, differs } of pathCases()) {
    const theirs = oracle.fault(trusted, chain);
    const agrees = (theirs === undefined) === (fault === undefined);
    assert.equal(agrees, differs === undefined, `${name}: here ${fault ?? 'right'}, there ${theirs ?? 'right'}`);
  }
});

test('OpenSSL says the same of chains that are made at random', { skip }, (t) => {
  const oracle = new Oracle(t);
  let right = 0;
  for (let seed = 1; seed <= 150; seed++) {
    const { trusted, chain, words } = randomChain(seed);
    const verdict = new PathValidator(trusted.map(({ der }) => der)).validate(
      chain.map(({ der }) => der),
      nowMs,
    );
    const theirs = oracle.fault(trusted, chain);
    assert.equal(
      verdict.ok,
      theirs === undefined,
      `seed ${seed}: ${words}: here ${verdict.ok ? 'right' : verdict.fault}, there ${theirs ?? 'right'}`,
    );
    if (verdict.ok) right++;
  }
  // Else it would only be shown that both refuse.
  assert.ok(right > 30 && right < 120, `${right} are right`);
});
