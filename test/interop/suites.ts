// Public conformance suites, where they can be had: none is needed, and each that is missing is skipped by name.
//
//   eclipse/paho.mqtt.testing   from a checkout in the folder that --suites names
//   bromq-dev/testmqtt          built by Go, from a checkout there or from the module proxy

import { mkdtemp, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { stripVTControlCharacters } from 'node:util';

import { startHeliograph } from './heliograph-target.ts';
import { Child, run } from './process.ts';

import type { Checks } from './checks.ts';
import type { Endpoint } from './target.ts';

/** Both suites come without credentials, expect a keep-alive of 60 s, and use a topic of their own that begins with $. */
const suiteConfiguration = `
  maxKeepAliveSec: 60
security:
  anonymous:
    enabled: true
    roles: [application]
  rules:
    - {allow: [publish, subscribe, consume, retain], topics: ["#", "$queue/#", "$TopicA/#"], roles: [application]}
`;

/** Tests that fail here, always or at times, and why that is right. */
const known: readonly (readonly [RegExp, string])[] = [
  [
    /^paho\.mqtt\.testing .*: test_subscribe_failure/,
    'wants one topic to be refused while # is granted; our rules refuse a filter that covers what is denied',
  ],
  [/^testmqtt 5: PING(REQ|RESP) /, 'its CONNECT announces 16 bytes and has 17: we say so in a CONNACK, it expects silence'],
  [/^testmqtt 3\.1\.1: Will Message /, 'its client sends DISCONNECT, after which no will is due, and closes at once: passes by a race'],
];

const testmqttModule = 'github.com/bromq-dev/testmqtt@v0.1.1';
const buildLimitMs = 120_000;
const suiteLimitMs = 240_000;

type Report = (name: string, failure: string | undefined) => void;

/** Starts everything at once, each suite on a broker of its own; resolves when all are through. */
export async function suiteChecks(checks: Checks, folder: string | undefined, portOffset: number): Promise<void> {
  const report = (suite: string): Report => {
    return (name, failure) => {
      const label = `${suite}: ${name}`;
      const why = known.find(([pattern]) => pattern.test(label))?.[1];
      if (failure === undefined) checks.pass(label);
      else if (why !== undefined) checks.skip(label, why);
      else checks.fail(label, failure);
    };
  };
  const jobs: Promise<void>[] = [];
  ['client_test', 'client_test5'].forEach((module, i) => {
    const name = `paho.mqtt.testing ${module === 'client_test' ? '3.1.1' : '5'}`;
    if (checks.wanted(name)) jobs.push(pahoSuite(checks, name, folder, module, portOffset + 100 * (i + 1), report(name)));
  });
  if (checks.wanted('testmqtt')) jobs.push(testmqtt(checks, folder, portOffset + 300, report));
  await Promise.all(jobs);
}

async function withBroker(portOffset: number, body: (endpoint: Endpoint) => Promise<void>): Promise<void> {
  const target = await startHeliograph(portOffset, suiteConfiguration);
  try {
    await body(target.tcp);
  } finally {
    await target.stop();
  }
}

async function pahoSuite(
  checks: Checks,
  name: string,
  folder: string | undefined,
  module: string,
  portOffset: number,
  report: Report,
): Promise<void> {
  const checkout = folder === undefined ? undefined : join(folder, 'paho.mqtt.testing');
  if (checkout === undefined || !(await exists(checkout))) {
    checks.skip(name, 'no checkout of eclipse/paho.mqtt.testing (--suites DIR)');
    return;
  }
  const script = fileURLToPath(new URL('paho_suite.py', import.meta.url));
  await withBroker(portOffset, async ({ host, port }) => {
    const lines = await linesOf('/usr/bin/python3', [script, checkout, module, host, String(port)]);
    for (const line of lines) {
      const [, result, test, why] = /^(ok|fail|skip) (\w+)(?:: (.*))?$/.exec(line) ?? [];
      if (result === 'skip') checks.skip(`${name}: ${test}`, why!);
      else if (result !== undefined) report(test!, result === 'ok' ? undefined : why);
    }
    if (!lines.includes('@end')) checks.fail(name, `did not end:\n${lines.slice(-5).join('\n')}`);
  });
}

async function testmqtt(checks: Checks, folder: string | undefined, portOffset: number, report: (suite: string) => Report): Promise<void> {
  const bin = await mkdtemp(join(tmpdir(), 'interop-go-'));
  try {
    const problem = await install(bin, folder);
    if (problem !== undefined) {
      checks.skip('testmqtt', problem);
      return;
    }
    for (const version of ['3', '5']) {
      await withBroker(portOffset, ({ host, port }) =>
        runTestmqtt(checks, join(bin, 'testmqtt'), version, `tcp://${host}:${port}`, report),
      );
    }
  } finally {
    await rm(bin, { recursive: true, force: true });
  }
}

/** Builds a checkout, or the published module; returns why neither can be had. */
async function install(bin: string, folder: string | undefined): Promise<string | undefined> {
  if ((await run('sh', ['-c', 'command -v go'])).code !== 0) return 'Go is not installed';
  const seconds = String(buildLimitMs / 1000);
  const checkout = folder === undefined ? undefined : join(folder, 'testmqtt');
  const { code, output } =
    checkout !== undefined && (await exists(checkout))
      ? await run('timeout', [seconds, 'go', 'build', '-o', join(bin, 'testmqtt'), '.'], { cwd: checkout })
      : await run('timeout', [seconds, 'go', 'install', testmqttModule], { env: { ...process.env, GOBIN: bin } });
  return code === 0 ? undefined : `could not be built: ${output.trim().split('\n').at(-1)?.trim()}`;
}

async function runTestmqtt(
  checks: Checks,
  program: string,
  version: string,
  broker: string,
  report: (suite: string) => Report,
): Promise<void> {
  const suite = `testmqtt ${version === '3' ? '3.1.1' : '5'}`;
  const lines = await linesOf(program, ['conformance', '--version', version, '--broker', broker, '--verbose']);
  let seen = 0;
  for (const line of lines) {
    const [, result, test] = /(PASS|FAIL) (.+?)(?: \[MQTT-[^\]]*\])?(?: \([^)]*s\))?\s*$/.exec(line) ?? [];
    if (result === undefined) continue;
    seen++;
    report(suite)(test!, result === 'PASS' ? undefined : `see: testmqtt conformance --version ${version} --verbose`);
  }
  if (seen === 0) checks.fail(suite, `did not run:\n${lines.slice(-5).join('\n')}`);
}

/** Everything a program says, without colours, within the time that a suite may take. */
async function linesOf(command: string, args: readonly string[]): Promise<string[]> {
  const child = new Child(command, args);
  child.endInput();
  const timer = setTimeout(() => child.kill('SIGKILL'), suiteLimitMs);
  await child.exit();
  clearTimeout(timer);
  return child.lines.map((line) => stripVTControlCharacters(line));
}

async function exists(path: string): Promise<boolean> {
  return stat(path).then(
    () => true,
    () => false,
  );
}
