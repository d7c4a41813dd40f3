// npm run examples [-- README.md docs/mqtt.md …]: every shell example of README.md, docs/ and examples/ is run, page by page, in a
// folder of its own, which holds what lies beside a page of examples/, with the commands `heliograph`, `npx` and `npm start` standing
// for this checkout. A page that starts no broker itself finds one running.

import { spawn, spawnSync } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import {
  chmodSync,
  cpSync,
  globSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  readdirSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { examplesIn } from './blocks.ts';
import type { Example } from './blocks.ts';

const root = fileURLToPath(new URL('../../', import.meta.url));
const mqttPort = 1883;
const exampleTimeoutMs = 60_000;
const startTimeoutMs = 20_000;

class Page {
  readonly #folder = mkdtempSync(join(tmpdir(), 'heliograph-examples-'));
  readonly #background: ChildProcess[] = [];
  readonly #environment: NodeJS.ProcessEnv;
  #broker: ChildProcess | undefined;
  #password = '';

  constructor(file: string) {
    if (file.startsWith('examples')) cpSync(join(root, dirname(file)), this.#folder, { recursive: true });
    // Programs of examples find the client libraries of this checkout.
    symlinkSync(join(root, 'node_modules'), join(this.#folder, 'node_modules'));
    const bin = join(this.#folder, 'bin');
    mkdirSync(bin);
    const heliograph = `"${process.execPath}" "${join(root, 'bin/heliograph.js')}"`;
    const shims = {
      heliograph: `exec ${heliograph} "$@"`,
      npx: 'exec "$@"',
      npm: `shift\n[ "$1" = -- ] && shift\nexec ${heliograph} serve "$@"`,
    };
    for (const [name, script] of Object.entries(shims)) {
      writeFileSync(join(bin, name), `#!/bin/sh\n${script}\n`);
      chmodSync(join(bin, name), 0o755);
    }
    this.#environment = { ...process.env, PATH: `${bin}:${process.env['PATH'] ?? ''}` };
  }

  /** Returns what went wrong; undefined: nothing. */
  async run(example: Example): Promise<string | undefined> {
    if (example.how === 'background') return this.#start(example.script);
    if (example.how === 'configuration') {
      writeFileSync(join(this.#folder, 'heliograph.yaml'), example.script);
      return undefined;
    }
    if (this.#broker === undefined && example.how !== 'before') {
      const problem = await this.#start('heliograph serve');
      if (problem !== undefined) return problem;
    }
    if (example.how === 'stopped') await this.#stop();
    const environment = { ...this.#environment, ...(example.how === 'admin' ? { HELIOGRAPH_PASSWORD: this.#password } : {}) };
    const { status, stdout, stderr, error } = spawnSync('bash', ['-euo', 'pipefail', '-c', example.script], {
      cwd: this.#folder,
      env: environment,
      encoding: 'utf8',
      timeout: exampleTimeoutMs,
    });
    if (status === 0) return undefined;
    return `${error?.message ?? `exit ${String(status)}`}\n${stdout}${stderr}`;
  }

  /** Starts what stays; if it is a broker, waits until it listens. */
  async #start(script: string): Promise<string | undefined> {
    const isBroker = /serve|npm start/.test(script);
    if (isBroker) await this.#stop();
    const child = spawn('bash', ['-c', `exec ${script}`], {
      cwd: this.#folder,
      env: this.#environment,
      stdio: ['ignore', 'pipe', 'pipe'],
      detached: true,
    });
    let output = '';
    for (const stream of [child.stdout, child.stderr]) stream.on('data', (chunk) => (output += String(chunk)));
    this.#background.push(child);
    if (!isBroker) return undefined;
    this.#broker = child;
    const deadline = Date.now() + startTimeoutMs;
    // It says so, and who its administrator is, right after it listens.
    while (!output.includes('Stop it with Ctrl-C')) {
      if (child.exitCode !== null || Date.now() > deadline) return `does not run:\n${output}`;
      await sleep(20);
    }
    this.#password = /password (\S+)/.exec(output)?.[1] ?? this.#password;
    return undefined;
  }

  /** Ends what runs in the background, the broker last. */
  async #stop(): Promise<void> {
    for (const child of this.#background.splice(0).toReversed()) {
      if (child.exitCode !== null || child.signalCode !== null) continue;
      const gone = new Promise((resolve) => child.once('exit', resolve));
      process.kill(-child.pid!, child === this.#broker ? 'SIGTERM' : 'SIGKILL');
      await gone;
    }
    this.#broker = undefined;
  }

  async end(): Promise<void> {
    await this.#stop();
    rmSync(this.#folder, { recursive: true, force: true });
  }
}

function listens(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect({ port, host: '127.0.0.1' });
    socket.once('connect', () => {
      socket.destroy();
      resolve(true);
    });
    socket.once('error', () => setTimeout(() => resolve(false), 50));
  });
}

const counts = { passed: 0, failed: 0, skipped: 0 };
if (await listens(mqttPort)) {
  console.error(`Port ${mqttPort} is taken: stop what listens there, because the examples of the documentation use it.`);
  process.exit(2);
}
const documents = readdirSync(join(root, 'docs')).filter((name) => name.endsWith('.md'));
const all = ['README.md', ...documents.map((name) => join('docs', name)), ...globSync('examples/*/README.md', { cwd: root }).toSorted()];
const asked = process.argv.slice(2);
const unknown = asked.filter((page) => !all.includes(page));
if (unknown.length > 0) {
  console.error(`There is no page ${unknown.join(', ')}. There are ${all.join(', ')}.`);
  process.exit(2);
}
const pages = asked.length > 0 ? asked : all;
for (const file of pages) {
  const examples = examplesIn(file, readFileSync(join(root, file), 'utf8'));
  const page = new Page(file);
  for (const example of examples) {
    const where = `${file}:${example.line}`;
    if (typeof example.how === 'object') {
      counts.skipped++;
      console.log(`skipped  ${where}: ${example.how.no}`);
      continue;
    }
    const problem = await page.run(example);
    counts[problem === undefined ? 'passed' : 'failed']++;
    console.log(`${problem === undefined ? 'passed ' : 'FAILED '}  ${where}`);
    if (problem !== undefined) console.log(problem.replaceAll(/^/gm, '    '));
  }
  await page.end();
}
console.log(`${counts.passed} passed, ${counts.failed} failed, ${counts.skipped} skipped`);
process.exit(counts.failed === 0 ? 0 : 1);
