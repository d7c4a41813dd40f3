// Clients of AMQP 1.0 that are programs of their own: Qpid Proton for Python and C++, Qpid JMS, go-amqp.

import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

import { isThere, lastLine, runProgram } from '../compiled-clients.ts';
import { deviceName } from '../heliograph-target.ts';
import { run } from '../process.ts';

import type { Checks } from '../checks.ts';
import type { AmqpTarget } from './amqp-target.ts';

const here = (name: string): string => fileURLToPath(new URL(name, import.meta.url));
const buildLimitSeconds = '200';
const runLimitMs = 150_000;
const storePassword = 'interop';
/** Where rejected messages go. Debian's brokers have other names for it. */
const deadLetters = 'dead-letter';

/** A command to run, or why there is none. */
type Built = readonly string[] | { readonly problem: string };

/** One after the other: each has the two cores for its build, and the broker for itself. */
export async function amqpProgramChecks(checks: Checks, target: AmqpTarget): Promise<void> {
  const folder = await mkdtemp(join(tmpdir(), 'interop-amqp-'));
  try {
    // Those that must not be missing.
    await program(checks, 'Proton Python', { required: true, folder }, () => protonPython(checks, target));
    await program(checks, 'Proton C++', { required: true, folder }, (own) => protonCpp(target, own));
    await program(checks, 'Qpid JMS', { required: false, folder }, (own) => qpidJms(checks, target, own));
    await program(checks, 'go-amqp', { required: false, folder }, (own) => goAmqp(target, own));
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

async function program(
  checks: Checks,
  name: string,
  { required, folder }: { required: boolean; folder: string },
  build: (folder: string) => Promise<Built>,
): Promise<void> {
  if (!checks.wanted(name) && checks.only?.startsWith(`${name}:`) !== true) return;
  const own = join(folder, name.replaceAll(/\W/g, ''));
  await mkdir(own);
  const built = await build(own);
  if ('problem' in built) {
    if (required) checks.fail(name, built.problem);
    else checks.skip(name, built.problem);
    return;
  }
  await runProgram(checks, name, built[0]!, built.slice(1), runLimitMs);
}

const unique = (client: string): string => `${client}${process.pid}`;
const timed = (...command: string[]): ReturnType<typeof run> => run('timeout', [buildLimitSeconds, ...command]);

async function protonPython(checks: Checks, target: AmqpTarget): Promise<Built> {
  const { amqp, amqps, credentials, tlsFacts } = target;
  const facts = {
    ...amqp,
    ...credentials,
    unique: unique('py'),
    deadLetters,
    schemes: true,
    tlsPort: amqps?.port,
    caFile: tlsFacts?.caFile,
    certFile: tlsFacts?.client?.certFile,
    keyFile: tlsFacts?.client?.keyFile,
    device: deviceName,
    only: checks.only,
  };
  return ['/usr/bin/python3', here('proton_checks.py'), JSON.stringify(facts)];
}

async function protonCpp(target: AmqpTarget, folder: string): Promise<Built> {
  const path = join(folder, 'checks');
  const built = await timed('g++', '-std=c++17', '-O0', '-o', path, here('proton_checks.cpp'), '-lqpid-proton-cpp');
  if (built.code !== 0) return { problem: `could not be built (libqpid-proton-cpp12-dev): ${lastLine(built.output)}` };
  const { amqp, amqps, credentials, tlsFacts } = target;
  const login = [credentials?.username ?? '', credentials?.password ?? ''];
  const tls = [String(amqps?.port ?? ''), tlsFacts?.caFile ?? '', tlsFacts?.client?.certFile ?? '', tlsFacts?.client?.keyFile ?? ''];
  return [path, amqp.host, String(amqp.port), ...login, unique('cpp'), deadLetters, ...tls, deviceName];
}

async function qpidJms(checks: Checks, target: AmqpTarget, folder: string): Promise<Built> {
  if (!(await isThere('javac')) || !(await isThere('mvn'))) return { problem: 'Java or Maven is not installed' };
  const libraries = join(folder, 'libraries');
  const copy = `-DoutputDirectory=${libraries}`;
  const copied = await timed('mvn', '-q', '-B', '-f', here('jms/pom.xml'), 'dependency:copy-dependencies', copy, '-DincludeScope=runtime');
  if (copied.code !== 0) return { problem: `could not be fetched: ${lastLine(copied.output)}` };
  const classes = join(folder, 'classes');
  const compiled = await timed('javac', '-cp', join(libraries, '*'), '-d', classes, here('jms/JmsChecks.java'));
  if (compiled.code !== 0) return { problem: `could not be compiled: ${lastLine(compiled.output)}` };
  const { amqp, ws, credentials } = target;
  const stores = await keyStores(target, folder);
  const login = [credentials?.username ?? '', credentials?.password ?? ''];
  return [
    'java',
    `-Donly=${checks.only ?? ''}`,
    '-cp',
    [join(libraries, '*'), classes].join(':'),
    'JmsChecks',
    amqp.host,
    String(amqp.port),
    ...login,
    unique('jms'),
    deadLetters,
    ...stores,
    deviceName,
    String(ws?.port ?? ''),
  ];
}

/** Port, trust store, key store and their password, as Java wants them. */
async function keyStores({ amqps, tlsFacts }: AmqpTarget, folder: string): Promise<string[]> {
  if (amqps === undefined || tlsFacts === undefined) return ['', '', '', ''];
  const trust = join(folder, 'trust.p12');
  const trusted = ['-importcert', '-noprompt', '-alias', 'ca', '-file', tlsFacts.caFile, '-keystore', trust];
  await run('keytool', [...trusted, '-storetype', 'PKCS12', '-storepass', storePassword]);
  if (tlsFacts.client === undefined) return [String(amqps.port), trust, '', storePassword];
  const keys = join(folder, 'keys.p12');
  const { certFile, keyFile } = tlsFacts.client;
  await run('openssl', ['pkcs12', '-export', '-in', certFile, '-inkey', keyFile, '-out', keys, '-passout', `pass:${storePassword}`]);
  return [String(amqps.port), trust, keys, storePassword];
}

async function goAmqp(target: AmqpTarget, folder: string): Promise<Built> {
  if (!(await isThere('go'))) return { problem: 'Go is not installed' };
  const path = join(folder, 'checks');
  const built = await run('timeout', [buildLimitSeconds, 'go', 'build', '-o', path, '.'], { cwd: here('go-amqp') });
  if (built.code !== 0) return { problem: `could not be built: ${lastLine(built.output)}` };
  const { amqp, amqps, credentials, tlsFacts } = target;
  const login = [credentials?.username ?? '', credentials?.password ?? ''];
  const tls = [String(amqps?.port ?? ''), tlsFacts?.caFile ?? '', tlsFacts?.client?.certFile ?? '', tlsFacts?.client?.keyFile ?? ''];
  return [path, amqp.host, String(amqp.port), ...login, unique('go'), deadLetters, ...tls, deviceName];
}
