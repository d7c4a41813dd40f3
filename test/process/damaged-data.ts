// Data that cannot be used: the process says what is wrong, where, and what to do, and ends with 1. Nothing is dropped silently,
// and a backup brings everything back.

import assert from 'node:assert/strict';
import {
  chmodSync,
  closeSync,
  cpSync,
  mkdirSync,
  openSync,
  readFileSync,
  readSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { join } from 'node:path';

import { SeededRandom } from '../../src/base/random.ts';
import { ownBin, runCli } from '../cli/run-cli.ts';
import { until, type CheckContext, type Checks } from '../interop/checks.ts';
import { run } from '../interop/process.ts';
import { assertDelivered } from './bounded-memory.ts';
import { BrokerProcess, temporaryDirectory } from './broker-process.ts';
import { NumberedPublisher } from './numbered.ts';
import { Peer } from './peer.ts';
import { SmallDisk, smallDiskProblem } from './small-disk.ts';
import { freeListeners } from '../harness/free-listeners.ts';

const MiB = 1024 * 1024;
const limitMs = 60_000;
const flips = 12;

export async function damagedData(checks: Checks): Promise<void> {
  const problem = await smallDiskProblem();
  if (problem === undefined) await checks.check('data: on a read-only file system', readOnly, limitMs);
  else checks.skip('data: on a read-only file system', problem);
  const other = await otherUserProblem();
  if (other === undefined) await checks.check('data: of another user', ofAnotherUser, limitMs);
  else checks.skip('data: of another user', other);
  await checks.check('data: in use by a broker, which goes on; free again after kill -9', inUse, limitMs);
  await checks.check('data: cut, emptied or removed files are told, and a backup brings everything back', cutFiles, limitMs);
  await checks.check(`data: ${flips} flipped bits, each told or harmless`, flippedBits, limitMs);
  await checks.check('data: damaged descriptions, users and keys are told', otherFiles, limitMs);
}

type Filled = { readonly data: string; readonly published: readonly NumberedPublisher[] };

/** A data directory as a broker leaves it: by SIGTERM everything is in the main file, by SIGKILL some is in its log. */
async function filled(context: CheckContext, how: 'stop' | 'crash', count = 500): Promise<Filled> {
  const broker = await BrokerProcess.start(context);
  const consumer = await Peer.durable(broker.port, 'away');
  await consumer.subscribe('keep', 1);
  await consumer.disconnect();
  const peer = await Peer.connect(broker.port, { clientId: 'publisher' });
  const numbered = new NumberedPublisher(peer, 'p', { topic: 'keep', payloadBytes: 2000, count, window: 20 });
  await until(() => numbered.done);
  assert.equal(numbered.acknowledged.size, count);
  if (how === 'stop') await broker.stop();
  else await broker.crash();
  return { data: broker.data, published: [numbered] };
}

function copy(context: CheckContext, data: string): string {
  const target = join(temporaryDirectory(context), 'data');
  cpSync(data, target, { recursive: true });
  return target;
}

/** The broker refuses to start on it, with 1 and in words. */
async function assertRefused(context: CheckContext, data: string, words: RegExp): Promise<void> {
  const { code, stderr } = await BrokerProcess.launch(context, { data }).served.ended;
  assert.equal(code, 1, `exit code ${code}\n${stderr}`);
  assert.match(stderr, /^Error: .+\n {2}where: .+\n {2}fix: {3}.+/m);
  assert.match(stderr, words);
}

/** `data check` finds damage in this file, and says what to do. */
async function assertFound(data: string, file: string): Promise<void> {
  const { code, stdout, stderr } = await runCli(['data', 'check', '--data', data, '--json']);
  assert.equal(code, 1, stdout + stderr);
  const { findings } = JSON.parse(stdout) as { findings: { where: string; what: string; fix: string }[] };
  assert.ok(
    findings.some(({ where, fix }) => where.includes(file) && fix !== ''),
    stdout,
  );
}

async function readOnly(context: CheckContext): Promise<void> {
  const disk = await SmallDisk.mount(context, 64 * MiB);
  const { data, published } = await filled(context, 'stop', 50);
  cpSync(data, disk.data, { recursive: true });
  await disk.remount('ro');
  await assertRefused(context, disk.data, /mounted read-only/);
  await assertRefused(context, join(disk.path, 'new'), /mounted read-only/);
  await disk.remount('rw');
  await assertDelivered(context, { data: disk.data }, 'away', published);
}

const nobody = 65_534;

function asNobody(...args: string[]): Promise<{ code: number; output: string }> {
  return run('setpriv', [`--reuid=${nobody}`, `--regid=${nobody}`, '--clear-groups', process.execPath, ownBin, ...args]);
}

async function otherUserProblem(): Promise<string | undefined> {
  if (process.getuid?.() !== 0) return 'becoming another user needs root';
  const { code, output } = await asNobody('--version');
  return code === 0 ? undefined : `another user cannot run the program from here: ${output.slice(0, 200)}`;
}

async function ofAnotherUser(context: CheckContext): Promise<void> {
  const { data } = await filled(context, 'stop', 50);
  const directory = temporaryDirectory(context);
  chmodSync(directory, 0o755);
  const config = join(directory, 'heliograph.yaml');
  writeFileSync(config, `listeners: ${JSON.stringify(freeListeners())}\n`);
  const open = join(directory, 'data');
  cpSync(data, open, { recursive: true });
  // What an operator does who starts it once as root: the directory may be entered, but nothing in it written.
  for (const path of [open, join(open, 'pki')]) chmodSync(path, 0o755);
  for (const place of [open, join(directory, 'new')]) {
    const { code, output } = await asNobody('serve', '--dev', '--config', config, '--data', place);
    assert.equal(code, 1, output);
    assert.match(
      output,
      /Error: The data directory cannot be used: .*\n {2}where: .*\n {2}fix: {3}give this user the right to write there/,
    );
  }
}

async function inUse(context: CheckContext): Promise<void> {
  const first = await BrokerProcess.start(context);
  const consumer = await Peer.durable(first.port, 'away');
  await consumer.subscribe('keep', 1);
  await consumer.disconnect();
  const peer = await Peer.connect(first.port, { clientId: 'publisher' });
  const numbered = new NumberedPublisher(peer, 'p', { topic: 'keep', window: 20 });
  await assertRefused(context, first.data, /Another broker runs on this data directory.*\n.*\n {2}fix: {3}stop it/);
  const target = join(temporaryDirectory(context), 'copy');
  for (const args of [['check'], ['backup', target], ['compact']]) {
    const { code, stdout, stderr } = await runCli(['data', ...args, '--data', first.data]);
    assert.equal(code, 1, `data ${args[0]}`);
    assert.match(stdout + stderr, /another process has it open/);
    assert.match(stdout + stderr, /stop the broker that uses this directory/);
  }
  const before = numbered.acknowledged.size;
  await until(() => numbered.acknowledged.size > before + 100);
  numbered.stop();
  await until(() => numbered.done);
  await first.crash();
  // Nothing that the dead one left keeps the next one out.
  await assertDelivered(context, { data: first.data }, 'away', [numbered]);
}

async function cutFiles(context: CheckContext): Promise<void> {
  const stopped = await filled(context, 'stop');
  const crashed = await filled(context, 'crash');
  const backup = join(temporaryDirectory(context), 'backup');
  const made = await runCli(['data', 'backup', backup, '--data', copy(context, crashed.data)]);
  assert.equal(made.code, 0, made.stderr);
  assert.ok(statSync(join(crashed.data, 'shard-0.db-wal')).size > MiB / 4, 'what was written last is in the log');

  const cases: readonly (readonly [Filled, string, (data: string) => void])[] = [
    [stopped, 'main file cut', (data) => half(join(data, 'shard-0.db'))],
    [stopped, 'main file emptied', (data) => truncateSync(join(data, 'shard-0.db'), 0)],
    [stopped, 'main file removed', (data) => rmSync(join(data, 'shard-0.db'))],
    [stopped, 'main file replaced by text', (data) => writeFileSync(join(data, 'shard-0.db'), 'this is no database\n'.repeat(1000))],
    [stopped, 'last page cut', (data) => truncateSync(join(data, 'shard-0.db'), statSync(join(data, 'shard-0.db')).size - 16_384)],
    [crashed, 'log cut', (data) => half(join(data, 'shard-0.db-wal'))],
    [crashed, 'log emptied', (data) => truncateSync(join(data, 'shard-0.db-wal'), 0)],
    [crashed, 'log removed', (data) => rmSync(join(data, 'shard-0.db-wal'))],
  ];
  for (const [from, what, damage] of cases) {
    const data = copy(context, from.data);
    damage(data);
    try {
      await assertFound(data, 'shard-0.db');
      await assertRefused(context, data, /shard-0\.db/);
      // Twice: the first attempt must not have made it look whole.
      await assertRefused(context, data, /shard-0\.db/);
    } catch (error) {
      throw new Error(`${what}: ${(error as Error).message}`, { cause: error });
    }
  }
  await restore(context, crashed, backup);
}

/** As the manual says: the backup goes where the damaged data was. */
async function restore(context: CheckContext, { data, published }: Filled, backup: string): Promise<void> {
  half(join(data, 'shard-0.db-wal'));
  await assertRefused(context, data, /fix: {3}run "heliograph data check"; put the last backup of the data directory in its place/);
  rmSync(data, { recursive: true });
  cpSync(backup, data, { recursive: true });
  const check = await runCli(['data', 'check', '--data', data]);
  assert.equal(check.code, 0, check.stderr);
  await assertDelivered(context, { data }, 'away', published);
}

function half(path: string): void {
  truncateSync(path, Math.floor(statSync(path).size / 2));
}

async function flippedBits(context: CheckContext): Promise<void> {
  const { data: whole, published } = await filled(context, 'stop');
  const size = statSync(join(whole, 'shard-0.db')).size;
  const random = new SeededRandom(7);
  let told = 0;
  for (let i = 0; i < flips; i++) {
    const data = copy(context, whole);
    // The first pages hold the header and the tables' roots.
    const at = i < 3 ? random.below(3 * 16_384) : random.below(size);
    flip(join(data, 'shard-0.db'), at, random.below(8));
    const { code } = await runCli(['data', 'check', '--data', data, '--json']);
    const where = `a bit of byte ${at} of ${size}`;
    try {
      if (code === 0) await assertDelivered(context, { data }, 'away', published);
      else {
        told++;
        await assertRefused(context, data, /shard-0\.db/);
      }
    } catch (error) {
      throw new Error(`${where} (data check: ${code}): ${(error as Error).message}`, { cause: error });
    }
  }
  console.log(`      ${told} of ${flips} were told, the others changed nothing that counts`);
  assert.ok(told >= flips / 4);
}

function flip(path: string, at: number, bit: number): void {
  const file = openSync(path, 'r+');
  const byte = new Uint8Array(1);
  readSync(file, byte, 0, 1, at);
  byte[0]! ^= 1 << bit;
  writeSync(file, byte, 0, 1, at);
  closeSync(file);
}

async function otherFiles(context: CheckContext): Promise<void> {
  const { data: whole } = await filled(context, 'stop', 20);
  for (const [file, content] of [
    ['heliograph.json', '{"format": 1, "sha'],
    ['heliograph.json', '{"format": 2, "shards": 1, "created": "x"}'],
    ['heliograph.json', '{"format": 1, "shards": 0, "created": "2026-01-01T00:00:00Z"}'],
    ['users.json', '{"users": ['],
    ['pki/seal.key', ''],
    ['pki/audit.pem', '-----BEGIN ENCRYPTED PRIVATE KEY-----\nnonsense\n-----END ENCRYPTED PRIVATE KEY-----\n'],
  ] as const) {
    const data = copy(context, whole);
    const before = readFileSync(join(data, 'shard-0.db'));
    writeFileSync(join(data, file), content);
    try {
      await assertRefused(context, data, new RegExp(file.replace('.', '\\.')));
    } catch (error) {
      throw new Error(`${file} with ${JSON.stringify(content)}: ${(error as Error).message}`, { cause: error });
    }
    assert.ok(before.equals(readFileSync(join(data, 'shard-0.db'))), 'the messages are untouched');
  }
  // A second number of shards would hide what the first ones hold.
  mkdirSync(join(whole, 'unrelated'));
  const broker = BrokerProcess.launch(context, { data: whole, settings: 'store: {shards: 2}\n' });
  const { code, stderr } = await broker.served.ended;
  assert.equal(code, 1);
  assert.match(stderr, /has 1 shard, but the configuration asks for 2/);
}
