// npm run hsm: the certificate authority with its keys in an HSM, which SoftHSM 2 plays. Brings the package that speaks to it into a
// temporary directory, because it has native code and is no dependency.

import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const modules = ['/usr/lib/softhsm/libsofthsm2.so', '/usr/lib/x86_64-linux-gnu/softhsm/libsofthsm2.so'];
const module = modules.find((path) => existsSync(path));
if (module === undefined) throw new Error('SoftHSM is missing: apt-get install softhsm2');

const folder = mkdtempSync(join(tmpdir(), 'heliograph-hsm-'));
const at = (name: string): string => join(folder, name);
const program = join(import.meta.dirname, '../../bin/heliograph.js');
const run = (command: string, ...args: string[]): string => {
  const env = { ...process.env, SOFTHSM2_CONF: at('softhsm.conf'), NODE_PATH: at('node_modules') };
  return execFileSync(command, args, { encoding: 'utf8', env, timeout: 120_000, stdio: ['ignore', 'pipe', 'pipe'] });
};
const heliograph = (...args: string[]): string => run(process.execPath, program, ...args, '--config', at('heliograph.yaml'));

/** False: this machine cannot build it, which says nothing of the authority. */
function bringPkcs11(): boolean {
  try {
    run('npm', 'install', '--no-audit', '--no-fund', '--no-save', '--prefix', folder, 'pkcs11js@2.1.7');
    return true;
  } catch (error) {
    const { stderr = '' } = error as { stderr?: string };
    process.stdout.write(
      `SKIP  keys in an HSM: pkcs11js cannot be built here (a C++ compiler, make and Node's headers are needed):\n${stderr}\n`,
    );
    rmSync(folder, { recursive: true, force: true });
    return false;
  }
}

try {
  mkdirSync(at('tokens'));
  writeFileSync(at('softhsm.conf'), `directories.tokendir = ${at('tokens')}\nobjectstore.backend = file\n`);
  writeFileSync(at('pin'), '1234\n', { mode: 0o600 });
  writeFileSync(
    at('heliograph.yaml'),
    `node: {dataDir: ${at('data')}}\npki: {pkcs11: {module: ${module}, tokenLabel: heliograph, pinFile: ${at('pin')}}}\n`,
  );
  if (!bringPkcs11()) process.exit(0);
  run('softhsm2-util', '--init-token', '--free', '--label', 'heliograph', '--pin', '1234', '--so-pin', '5678');

  const status = JSON.parse(heliograph('ca', 'status', '--json')) as { protection: string; entries: { role: string; hasKey: boolean }[] };
  assert.equal(status.protection, 'hsm');
  assert.deepEqual(status.entries.map(({ role, hasKey }) => `${role} ${hasKey}`).sort(), ['issuing true', 'root true']);
  assert.ok(
    readdirSync(at('data/pki/keys')).every((name) => name.endsWith('.crt')),
    'no key is in a file',
  );
  const verify = (name: string): string =>
    run(
      'openssl',
      'verify',
      '-x509_strict',
      '-CAfile',
      at(`${name}/ca.crt`),
      '-untrusted',
      at(`${name}/chain.crt`),
      at(`${name}/device.crt`),
    );
  heliograph('device', 'add', 'pump-7', '--out', at('pump-7'));
  assert.match(verify('pump-7'), /OK/);
  heliograph('ca', 'rotate', '--root');
  heliograph('device', 'add', 'pump-8', '--out', at('pump-8'));
  assert.match(verify('pump-8'), /OK/);
  process.stdout.write('The authority works with its keys in an HSM: founded, issued, rotated.\n');
} finally {
  rmSync(folder, { recursive: true, force: true });
}
