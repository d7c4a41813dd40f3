// After everything: the audit log is whole and tells of all that was done, and nowhere does a secret stand.

import assert from 'node:assert/strict';
import { appendFileSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

import { runCli } from '../cli/run-cli.ts';
import { until } from '../interop/checks.ts';

import type { Checks } from '../interop/checks.ts';
import type { World } from './world.ts';

/** What must be told besides what the checks have done by name. */
const told = ['handshake.refuse', 'authentication.fail', 'session.cut', 'session.subscriptions.revoke', 'certificate.issue'] as const;

function textsIn(directory: string): [string, string][] {
  return readdirSync(directory, { withFileTypes: true, recursive: true })
    .filter((entry) => entry.isFile())
    .map((entry) => {
      const path = join(entry.parentPath, entry.name);
      return [path, readFileSync(path, 'latin1')];
    });
}

export async function auditTrail(checks: Checks, world: World): Promise<void> {
  const directory = join(world.data, 'audit');
  await checks.check('audit: heliograph audit verify finds the log whole', async () => {
    const { code, stdout, stderr } = await runCli(['audit', 'verify', '--data', world.data, '--json']);
    assert.equal(code, 0, stdout + stderr);
    assert.equal((JSON.parse(stdout) as { whole: boolean }).whole, true, stdout);
  });
  await checks.check('audit: heliograph audit list has everything that was done', async () => {
    const { code, stdout, stderr } = await runCli(['audit', 'export', '--data', world.data]);
    assert.equal(code, 0, stderr);
    type Entry = { action: string; target: string; outcome: string };
    const entries = stdout
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line) as Entry);
    const done = new Set(entries.filter(({ outcome }) => outcome === 'done').map(({ action, target }) => `${action} ${target}`));
    const missing = [...world.done].filter((each) => !done.has(each));
    assert.deepEqual(missing, [], `of ${world.done.size}`);
    const actions = new Set(entries.map(({ action }) => action));
    if (world.done.size > 50) assert.deepEqual([...told.filter((action) => !actions.has(action))], []);
    console.log(`      ${entries.length} entries, ${world.done.size} of them awaited by name`);
  });
  await checks.check('audit: no secret stands in the audit log, the log or the metrics', async () => {
    const places: [string, string][] = [
      ...textsIn(directory),
      ['the log', world.served.lines.map((line) => JSON.stringify(line)).join('\n')],
      ['the metrics', await world.metricsText()],
      ['the status', JSON.stringify(await world.must('GET', '/status'))],
      ['the configuration', JSON.stringify(await world.must('GET', '/config'))],
    ];
    // What is searched can be found.
    assert.ok(places.some(([, text]) => text.includes('session.cut') || text.includes('device.create')));
    const found: string[] = [];
    for (const [secret, what] of world.secrets) {
      for (const [place, text] of places) if (text.includes(secret)) found.push(`${what} in ${place}`);
    }
    assert.deepEqual(found, []);
    console.log(`      ${world.secrets.size} secrets in ${places.length} places`);
  });
  await checks.check('audit: a line that is changed, or removed, is found', async () => {
    await until(async () => (await world.must('GET', '/audit:head')) !== undefined);
    await world.served.kill();
    const [file] = readdirSync(directory)
      .filter((name) => name.endsWith('.jsonl'))
      .sort();
    const path = join(directory, file!);
    const whole = readFileSync(path, 'utf8');
    const lines = whole.split('\n');
    const at = lines.findIndex((line) => line.includes('device.create'));
    const changed = lines.with(at, lines[at]!.replace('device.create', 'device.creatf'));
    const removed = lines.toSpliced(at, 1);
    for (const [what, bad] of Object.entries({ changed, removed })) {
      writeFileSync(path, bad.join('\n'));
      const { code, stdout } = await runCli(['audit', 'verify', '--data', world.data]);
      assert.notEqual(code, 0, `${what}: ${stdout}`);
    }
    writeFileSync(path, whole);
    appendFileSync(path, '');
  });
}
