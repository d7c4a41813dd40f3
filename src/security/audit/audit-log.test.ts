import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { createPrivateKey, createPublicKey, sign } from 'node:crypto';
import { appendFile, mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import fc from 'fast-check';
import { ManualClock } from '../../base/clock.ts';
import { silentLog } from '../../base/log.ts';
import type { AuditEvent, AuditQuery } from './audit.ts';
import { type AuditKey, type AuditLog, type AuditLogOptions, openAuditLog } from './audit-log.ts';
import { hashOf } from './audit-line.ts';
import { auditEntries, auditPage, lastAuditEntries } from './audit-query.ts';
import { auditSigning } from '../pki/profiles.ts';
import { verifyAudit } from './verify-audit.ts';

const event = (action: string, details?: AuditEvent['details']): AuditEvent => ({
  actor: { kind: 'principal', tenant: 'main', id: 'alice' },
  action,
  target: 'device/main/pump-7',
  from: '127.0.0.1:4711',
  outcome: 'done',
  ...(details !== undefined && { details }),
});

type Sealing = { readonly key: AuditKey; readonly later: AuditKey; readonly root: string; readonly stranger: AuditKey };

/** A root, two keys for sealing below it, and one below it that is for something else. Made by openssl, once. */
async function sealing(directory: string): Promise<Sealing> {
  const at = (name: string): string => join(directory, name);
  const openssl = (...args: string[]) => execFileSync('openssl', args, { cwd: directory, stdio: 'pipe' });
  const newKey = (name: string) => openssl('genpkey', '-algorithm', 'EC', '-pkeyopt', 'ec_paramgen_curve:P-256', '-out', name);
  newKey('root.key');
  openssl('req', '-x509', '-new', '-key', 'root.key', '-subj', '/CN=root', '-days', '30', '-out', 'root.crt');
  const make = async (name: string, usage: string): Promise<AuditKey> => {
    newKey(`${name}.key`);
    openssl('req', '-new', '-key', `${name}.key`, '-subj', `/CN=${name}`, '-out', `${name}.csr`);
    await writeFile(at(`${name}.ext`), `extendedKeyUsage=${usage}\nbasicConstraints=CA:FALSE\n`);
    const files = ['-in', `${name}.csr`, '-CA', 'root.crt', '-CAkey', 'root.key', '-CAcreateserial', '-extfile', `${name}.ext`];
    openssl('x509', '-req', ...files, '-days', '30', '-out', `${name}.crt`);
    const privateKey = createPrivateKey(await readFile(at(`${name}.key`)));
    return {
      certificate: await readFile(at(`${name}.crt`), 'utf8'),
      chain: '',
      signer: {
        algorithm: 'ecdsa-p256',
        publicKey: createPublicKey(privateKey).export({ type: 'spki', format: 'der' }),
        sign: (data) => Promise.resolve(sign('sha256', data, privateKey)),
      },
    };
  };
  return {
    key: await make('audit', auditSigning),
    later: await make('later', auditSigning),
    stranger: await make('device', 'clientAuth'),
    root: await readFile(at('root.crt'), 'utf8'),
  };
}

let made: Promise<{ readonly value: Sealing }> | undefined;
const sealingOnce = async (): Promise<Sealing> => {
  made ??= (async () => {
    const directory = await mkdtemp(join(tmpdir(), 'heliograph-audit-keys-'));
    try {
      return { value: await sealing(directory) };
    } finally {
      await rm(directory, { recursive: true });
    }
  })();
  return (await made).value;
};

async function bench(t: TestContext, over: Partial<AuditLogOptions> = {}) {
  const directory = await mkdtemp(join(tmpdir(), 'heliograph-audit-'));
  t.after(() => rm(directory, { recursive: true }));
  // The certificates are made now: the clock must be within their life.
  const clock = new ManualClock(Date.now());
  const logs: AuditLog[] = [];
  t.after(() => Promise.all(logs.map((log) => log.close())));
  const open = async (): Promise<AuditLog> => {
    const options = { directory, segmentBytes: 1 << 20, sealMs: 3_600_000, maxPending: 1000, retentionMs: 0, ...over };
    const log = await openAuditLog(options, { clock, log: silentLog });
    logs.push(log);
    return log;
  };
  return { directory, clock, open };
}

const filesOf = async (directory: string): Promise<string[]> => (await readdir(directory)).sort().map((name) => join(directory, name));

test('a log that was sealed is whole, over restarts and files', async (t) => {
  const { key, root } = await sealingOnce();
  const { directory, open } = await bench(t, { segmentBytes: 2000 });
  for (let run = 0; run < 3; run++) {
    const log = await open();
    log.useKey(key);
    for (let i = 0; i < 20; i++) {
      log.record(event('device.add', { run, i }));
      if (i % 5 === 0) await log.flushed();
    }
    await log.close();
  }
  const report = await verifyAudit(directory, { roots: [root] });
  assert.deepEqual(report.faults, []);
  assert.equal(report.entries, 60);
  assert.equal(report.sealedThrough, report.head.seq, 'closing seals what is left');
  assert.ok(report.segments > 3, `${report.segments} files`);
});

test('any line that is removed, changed, repeated or moved is found', async (t) => {
  const { key, root } = await sealingOnce();
  const { directory, open } = await bench(t);
  const log = await open();
  log.useKey(key);
  for (let i = 0; i < 12; i++) log.record(event('device.add', { i }));
  await log.flushed();
  await log.close();
  const [file] = await filesOf(directory);
  const good = (await readFile(file!, 'utf8')).trimEnd().split('\n');
  const place = fc.nat(good.length - 2);
  const attack = fc.oneof(
    fc.record({ kind: fc.constant('remove' as const), at: place }),
    fc.record({ kind: fc.constant('repeat' as const), at: place }),
    fc.record({ kind: fc.constant('swap' as const), at: place }),
    fc.record({ kind: fc.constant('change' as const), at: place, char: fc.nat(10_000) }),
  );
  await fc.assert(
    fc.asyncProperty(attack, async (made) => {
      const lines = [...good];
      const { at } = made;
      if (made.kind === 'remove') lines.splice(at, 1);
      if (made.kind === 'repeat') lines.splice(at, 0, lines[at]!);
      if (made.kind === 'swap') [lines[at], lines[at + 1]] = [lines[at + 1]!, lines[at]!];
      if (made.kind === 'change') {
        const where = made.char % lines[at]!.length;
        lines[at] = `${lines[at]!.slice(0, where)}${lines[at]![where] === '7' ? '8' : '7'}${lines[at]!.slice(where + 1)}`;
      }
      await writeFile(file!, `${lines.join('\n')}\n`);
      const report = await verifyAudit(directory, { roots: [root] });
      assert.equal(report.whole, false);
    }),
    { numRuns: 60 },
  );
  await writeFile(file!, `${good.join('\n')}\n`);
  assert.equal((await verifyAudit(directory, { roots: [root] })).whole, true, 'and the log as it was is whole');
});

test('an end that was cut off is found by whoever kept the head', async (t) => {
  const { key, root } = await sealingOnce();
  const { directory, open } = await bench(t);
  const log = await open();
  log.useKey(key);
  log.record(event('a'));
  log.record(event('b'));
  await log.flushed();
  const { head } = log;
  await log.close();
  assert.equal((await verifyAudit(directory, { roots: [root], expected: head })).whole, true);
  const [file] = await filesOf(directory);
  const lines = (await readFile(file!, 'utf8')).split('\n');
  await writeFile(file!, `${lines[0]}\n`);
  const report = await verifyAudit(directory, { roots: [root], expected: head });
  assert.match(report.faults[0]!.what, /its end was cut off/);
});

test('a chain that somebody made anew is not trusted without the key', async (t) => {
  const { stranger, root } = await sealingOnce();
  const { directory, open } = await bench(t);
  const log = await open();
  log.useKey(stranger);
  log.record(event('forged'));
  await log.close();
  const report = await verifyAudit(directory, { roots: [root] });
  assert.match(report.faults[0]!.what, /not for sealing/);
  assert.equal(report.sealedThrough, 0);
});

test('a line that was not finished is cut off at the next start, and the log says so', async (t) => {
  const { directory, open } = await bench(t);
  const first = await open();
  first.record(event('a'));
  await first.close();
  const [file] = await filesOf(directory);
  await appendFile(file!, '{"seq":2,"at":"20');
  const second = await open();
  await second.flushed();
  const { entries } = await auditPage(directory, {}, 10);
  assert.deepEqual(
    entries.map(({ action }) => action),
    ['a', 'audit.repair'],
  );
  await second.close();
  assert.equal((await verifyAudit(directory, { roots: [] })).whole, true);
});

test('what is no line of a log is not built upon', async (t) => {
  const { directory, open } = await bench(t);
  const log = await open();
  log.record(event('a'));
  await log.close();
  const [file] = await filesOf(directory);
  await appendFile(file!, 'nonsense\n');
  await assert.rejects(open(), /no line of it/);
});

test('entries that cannot be held are counted, and the log says how many', async (t) => {
  const { directory, open } = await bench(t, { maxPending: 3 });
  const log = await open();
  for (let i = 0; i < 5; i++) log.record(event(`e${i}`));
  await log.flushed();
  const { entries } = await auditPage(directory, {}, 10);
  assert.deepEqual(
    entries.map(({ action, details }) => [action, details?.['entries']]),
    [
      ['e0', undefined],
      ['e1', undefined],
      ['e2', undefined],
      ['audit.lose', 2],
    ],
  );
});

test('a key that cannot sign does not keep entries from the disk', async (t) => {
  const { key } = await sealingOnce();
  const { directory, open } = await bench(t, { sealMs: 1 });
  const log = await open();
  log.useKey({ ...key, signer: { ...key.signer, sign: () => Promise.reject(new Error('offline')) } });
  log.record(event('a'));
  await log.close();
  assert.equal((await auditPage(directory, {}, 10)).entries.length, 1);
});

test('old files go, and the log can still be proved whole from there on', async (t) => {
  const { key, root } = await sealingOnce();
  const { directory, clock, open } = await bench(t, { segmentBytes: 1000, retentionMs: 60_000 });
  const log = await open();
  log.useKey(key);
  for (let i = 0; i < 40; i++) {
    log.record(event('device.add', { i }));
    await log.flushed();
    clock.advance(10_000);
  }
  await log.close();
  const report = await verifyAudit(directory, { roots: [root] });
  assert.deepEqual(report.faults, []);
  assert.ok(report.firstSeq > 1, 'the first files are gone');
  await rm((await filesOf(directory))[0]!);
  assert.match((await verifyAudit(directory, { roots: [root] })).faults.at(-1)!.what, /no signed entry tells/);
});

test('entries are found by page, time, actor, action and outcome; texts are cut', async (t) => {
  const { directory, clock, open } = await bench(t, { segmentBytes: 500 });
  const log = await open();
  for (let i = 0; i < 10; i++) {
    log.record({ ...event(i % 2 === 0 ? 'device.add' : 'policy.update'), outcome: i < 5 ? 'done' : 'refused', target: 'x'.repeat(5000) });
    await log.flushed();
    clock.advance(1000);
  }
  const first = await auditPage(directory, { action: 'device.' }, 3);
  assert.equal(first.entries.length, 3);
  const rest = await auditPage(directory, { action: 'device.', afterSeq: first.next }, 3);
  assert.equal(rest.entries.length, 2);
  assert.equal(rest.next, undefined);
  assert.equal(rest.entries[0]!.target.length, 512);
  const newest = await lastAuditEntries(directory, { action: 'policy.' }, 3);
  assert.deepEqual(
    newest.map(({ seq }) => seq),
    [6, 8, 10],
  );
  assert.equal((await lastAuditEntries(directory, {}, 100)).length, 10);
  const count = async (query: AuditQuery): Promise<number> => {
    let found = 0;
    for await (const _ of auditEntries(directory, query)) found++;
    return found;
  };
  assert.equal(await count({ outcome: 'refused' }), 5);
  assert.equal(await count({ actor: 'main/alice' }), 10);
  assert.equal(await count({ actor: 'main/bob' }), 0);
  assert.equal(await count({ untilMs: clock.wallMs() - 5000 }), 5);
});

test('a key that comes while another one seals is named before it seals', async (t) => {
  const { key, later, root } = await sealingOnce();
  const { directory, open } = await bench(t, { sealMs: 1 });
  const log = await open();
  let isSwapped = false;
  const swapping: AuditKey['signer']['sign'] = (data) => {
    if (!isSwapped) log.useKey(later);
    isSwapped = true;
    return key.signer.sign(data);
  };
  log.useKey({ ...key, signer: { ...key.signer, sign: swapping } });
  log.record(event('a'));
  while (!isSwapped) await new Promise((resolve) => setImmediate(resolve));
  await log.flushed();
  log.record(event('b'));
  await log.close();
  const report = await verifyAudit(directory, { roots: [root] });
  assert.deepEqual(report.faults, []);
  assert.equal(report.seals, 2);
});

/** Lines that whoever can write the files puts behind the others, each in its place in the chain. */
async function forge(file: string, ...events: readonly AuditEvent[]): Promise<void> {
  let last = JSON.parse((await readFile(file, 'utf8')).trimEnd().split('\n').at(-1)!) as { seq: number; at: string };
  let hash = hashOf(JSON.stringify(last));
  for (const each of events) {
    last = { seq: last.seq + 1, at: last.at, prev: hash, type: 'entry', ...each } as typeof last;
    hash = hashOf(JSON.stringify(last));
    await appendFile(file, `${JSON.stringify(last)}\n`);
  }
}

test('a word of removed files that nobody signed proves nothing', async (t) => {
  const { key, root } = await sealingOnce();
  const { directory, open } = await bench(t, { segmentBytes: 500 });
  const log = await open();
  log.useKey(key);
  for (let i = 0; i < 10; i++) {
    log.record(event('device.add', { i }));
    await log.flushed();
  }
  await log.close();
  const files = await filesOf(directory);
  const gone = (await readFile(files[0]!, 'utf8')).trimEnd().split('\n').at(-1)!;
  const details = { throughSeq: (JSON.parse(gone) as { seq: number }).seq, hash: hashOf(gone) };
  await rm(files[0]!);
  await forge(files.at(-1)!, { actor: { kind: 'node' }, action: 'audit.expire', target: '', from: '', outcome: 'done', details });
  assert.match((await verifyAudit(directory, { roots: [root] })).faults.at(-1)!.what, /no signed entry tells/);
});

test('files go when the word of it is signed', async (t) => {
  const { key, root } = await sealingOnce();
  const { directory, clock, open } = await bench(t, { segmentBytes: 1000, retentionMs: 60_000 });
  const log = await open();
  log.useKey(key);
  for (let i = 0; i < 40; i++) {
    log.record(event('device.add', { i }));
    await log.flushed();
    assert.deepEqual((await verifyAudit(directory, { roots: [root] })).faults, []);
    clock.advance(10_000);
  }
});

test('an expected head that was removed with old files is not called cut off', async (t) => {
  const { key, root } = await sealingOnce();
  const { directory, clock, open } = await bench(t, { segmentBytes: 1000, retentionMs: 60_000 });
  const log = await open();
  log.useKey(key);
  log.record(event('first'));
  await log.flushed();
  const { head } = log;
  for (let i = 0; i < 40; i++) {
    log.record(event('device.add', { i }));
    await log.flushed();
    clock.advance(10_000);
  }
  await log.close();
  const { faults } = await verifyAudit(directory, { roots: [root], expected: head });
  assert.match(faults[0]!.what, /older than the first/);
});

test('what was signed long after it was written is told', async (t) => {
  const { key, root } = await sealingOnce();
  const { directory, clock, open } = await bench(t);
  const offline = await open();
  offline.record(event('a'));
  await offline.close();
  assert.deepEqual([(await verifyAudit(directory, { roots: [root] })).sealedThrough], [0]);
  clock.advance(7_200_000);
  const log = await open();
  log.useKey(key);
  log.record(event('b'));
  await log.close();
  const { lateSeals, sealedThrough, head } = await verifyAudit(directory, { roots: [root] });
  assert.deepEqual([lateSeals, sealedThrough], [1, head.seq]);
});

test('closing does not wait for a disk that takes nothing', async (t) => {
  const { directory, open } = await bench(t);
  const log = await open();
  await rm(directory, { recursive: true });
  log.record(event('a'));
  await log.flushed();
  assert.match(log.failure!, /ENOENT/);
  const startedMs = performance.now();
  await log.close();
  assert.ok(performance.now() - startedMs < 900, 'it has not waited for the next try');
  assert.match(log.failure!, /ENOENT/);
  await mkdir(directory);
});

test('whatever is done to whole files, keys and seals is found', async (t) => {
  const { key, stranger, root } = await sealingOnce();
  const { directory, open } = await bench(t, { segmentBytes: 1500 });
  const log = await open();
  log.useKey(key);
  for (let i = 0; i < 20; i++) {
    log.record(event('device.add', { i }));
    await log.flushed();
  }
  const { head } = log;
  await log.close();
  const files = await filesOf(directory);
  assert.ok(files.length >= 4);
  const texts = await Promise.all(files.map((file) => readFile(file, 'utf8')));
  const whole = async (): Promise<boolean> => (await verifyAudit(directory, { roots: [root], expected: head })).whole;
  const changed = (at: number, change: (text: string) => string) => () => writeFile(files[at]!, change(texts[at]!));
  const lineOf = (at: number, type: string): string => texts[at]!.split('\n').find((line) => line.includes(`"type":"${type}"`))!;
  const attacks: Readonly<Record<string, () => Promise<unknown>>> = {
    'first file removed': () => rm(files[0]!),
    'middle file removed': () => rm(files[1]!),
    'last file removed': () => rm(files.at(-1)!),
    'files swapped': async () => {
      await writeFile(files[1]!, texts[2]!);
      await writeFile(files[2]!, texts[1]!);
    },
    'file renamed behind the others': async () => {
      await writeFile(join(directory, '000000009999.jsonl'), texts[1]!);
      await rm(files[1]!);
    },
    'file there twice': () => writeFile(join(directory, '000000009999.jsonl'), texts[1]!),
    'file emptied': changed(1, () => ''),
    'key replaced': changed(1, (text) => text.replace(JSON.stringify(key.certificate), JSON.stringify(stranger.certificate))),
    'key removed': changed(1, (text) => text.replace(`${lineOf(1, 'key')}\n`, '')),
    'seal of another place': changed(1, (text) => text.replace(/"signature":"[^"]*"/, /"signature":"[^"]*"/.exec(texts[2]!)![0])),
    'seal removed': changed(1, (text) => text.replace(`${lineOf(1, 'seal')}\n`, '')),
    'time changed': changed(1, (text) => text.replace(/"at":"20\d\d/, '"at":"1999')),
    'last line cut in two': changed(files.length - 1, (text) => text.slice(0, -10)),
  };
  for (const [what, attack] of Object.entries(attacks)) {
    await attack();
    assert.equal(await whole(), false, what);
    await rm(join(directory, '000000009999.jsonl'), { force: true });
    for (const [i, file] of files.entries()) await writeFile(file, texts[i]!);
    assert.equal(await whole(), true, `after: ${what}`);
  }
});
