// ETSI's plugtests for CoAP, by the checker of Californium, against our own CoAP with the resources that they ask for (plugtest/).
// The checker is in no registry: it is compiled from a checkout, with what Maven Central has of Californium.

import { mkdtemp, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

import { Child, run } from '../process.ts';
import { psk } from './plugtest/server.ts';

import type { Checks } from '../checks.ts';

const version = '3.14.0';
const repository = 'https://github.com/eclipse-californium/californium';
/** What is compiled of it. */
const parts = ['demo-apps/cf-plugtest-checker', 'cf-utils/cf-cli', 'cf-utils/cf-cli-tcp-netty', 'cf-oscore'] as const;
const checker = 'org.eclipse.californium.plugtests.PlugtestChecker';

const fetchLimitMs = 60_000;
const buildLimitMs = 180_000;
const runLimitMs = 150_000;

const here = (path: string): string => fileURLToPath(new URL(`plugtest/${path}`, import.meta.url));

type Wire = {
  readonly name: string;
  readonly scheme: string;
  readonly port: 'udp' | 'tcp' | 'dtls';
  readonly options: readonly string[];
  readonly tests: number;
};

/** How many tests there are: Californium's own server passes as many. OSCORE is looked at over UDP only. */
const wires: readonly Wire[] = [
  { name: 'UDP and OSCORE', scheme: 'coap', port: 'udp', options: [], tests: 49 },
  { name: 'TCP', scheme: 'coap+tcp', port: 'tcp', options: ['--no-oscore'], tests: 46 },
  { name: 'DTLS', scheme: 'coaps', port: 'dtls', options: ['--no-oscore', '-i', psk.identity, '-s', psk.key], tests: 46 },
];

const label = ({ name }: Wire): string => `plugtests by Californium over ${name}`;

/** `suites`: a folder with checkouts, among them `californium`. */
export async function plugtestChecks(checks: Checks, suites: string | undefined): Promise<void> {
  const wanted = wires.filter((wire) => checks.wanted(label(wire)));
  if (wanted.length === 0) return;
  const folder = await mkdtemp(join(tmpdir(), 'interop-plugtests-'));
  try {
    const problem = await build(folder, suites);
    if (problem !== undefined) for (const wire of wanted) checks.skip(label(wire), problem);
    else await Promise.all(wanted.map((wire) => runChecker(checks, folder, wire)));
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

/** Why it cannot be had; undefined: it is there. */
async function build(folder: string, suites: string | undefined): Promise<string | undefined> {
  for (const tool of ['java', 'javac', 'mvn']) {
    if ((await run('which', [tool])).code !== 0) return `${tool} is not installed`;
  }
  const source = await checkout(folder, suites);
  if (source === undefined) return `no checkout of ${repository} at ${version} (--suites DIR), and it could not be fetched`;
  const libraries = join(folder, 'libraries');
  const copy = ['dependency:copy-dependencies', `-DoutputDirectory=${libraries}`, '-DincludeScope=runtime'];
  const copied = await timed(buildLimitMs, 'mvn', '-q', '-B', '-f', here('pom.xml'), ...copy);
  if (copied.code !== 0) return `Californium ${version} could not be had from Maven: ${copied.output.slice(-200)}`;
  const compile = `javac -nowarn -cp '${libraries}/*' -d classes $(find ${parts.map((part) => `'${join(source, part, 'src/main/java')}'`).join(' ')} -name '*.java')`;
  const compiled = await timed(buildLimitMs, 'bash', '-c', `cd '${folder}' && ${compile}`);
  return compiled.code === 0 ? undefined : `could not be compiled: ${compiled.output.slice(-200)}`;
}

async function checkout(folder: string, suites: string | undefined): Promise<string | undefined> {
  const given = suites === undefined ? undefined : join(suites, 'californium');
  if (given !== undefined && (await stat(join(given, parts[0])).catch(() => undefined)) !== undefined) return given;
  const own = join(folder, 'californium');
  const fetched = await timed(fetchLimitMs, 'git', 'clone', '-q', '--depth', '1', '--branch', version, repository, own);
  return fetched.code === 0 ? own : undefined;
}

async function runChecker(checks: Checks, folder: string, wire: Wire): Promise<void> {
  await checks.check(
    label(wire),
    async (context) => {
      const server = context.child(new Child(process.execPath, [here('server.ts')]));
      const ports = JSON.parse(await server.waitFor(/^\{/)) as Record<Wire['port'], number>;
      const cwd = await mkdtemp(join(folder, 'run-'));
      const classPath = [join(folder, 'classes'), join(folder, 'libraries', '*')].join(':');
      const uri = `${wire.scheme}://127.0.0.1:${ports[wire.port]}`;
      const program = context.child(new Child('java', ['-cp', classPath, checker, ...wire.options, uri], { cwd }));
      program.endInput();
      await program.exit();
      const summary = program.lines.slice(program.lines.indexOf('==== SUMMARY ====') + 1).filter((line) => /^C[A-Z]\d|^OC\d/.test(line));
      const failed = summary.filter((line) => !/: PASSED( \(conditionally\))?$/.test(line));
      if (failed.length > 0) throw new Error(`${failed.join('\n')}\n${faults(program.lines).join('\n')}`);
      if (summary.length !== wire.tests) throw new Error(`${summary.length} of ${wire.tests} tests:\n${program.tail()}`);
    },
    runLimitMs,
  );
}

/** What the checker says of a test is on lines of its own before the summary. */
function faults(lines: readonly string[]): string[] {
  return lines
    .filter((line) => line.startsWith('FAIL') || line.startsWith('**** TEST: '))
    .filter((line, i, all) => line.startsWith('FAIL') || all[i + 1]?.startsWith('FAIL') === true);
}

async function timed(limitMs: number, command: string, ...args: readonly string[]): Promise<{ code: number; output: string }> {
  return run('timeout', ['-k', '2', String(limitMs / 1000), command, ...args], { env: { ...process.env, GIT_TERMINAL_PROMPT: '0' } });
}
