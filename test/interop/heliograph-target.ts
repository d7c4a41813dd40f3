// Our broker, as a user starts it: the real process, generated certificates, passwords needed, shifted ports.

import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

import { Child, run } from './process.ts';

import type { Target } from './target.ts';

const program = fileURLToPath(new URL('../../bin/heliograph.js', import.meta.url));

/** The topics that the device of the client certificate may use, by the default rules. */
export const deviceName = 'interop-device';

const configuration = `
mqtt:
  maxPacketBytes: 8MiB
`;

export async function startHeliograph(portOffset: number, more = ''): Promise<Target & { readonly log: () => string }> {
  const folder = await mkdtemp(join(tmpdir(), 'interop-heliograph-'));
  const config = join(folder, 'heliograph.yaml');
  const data = join(folder, 'data');
  await writeFile(config, configuration + more);
  const start = async (): Promise<Child> => {
    const args = [program, 'serve', '--config', config, '--data', data, '--port-offset', String(portOffset)];
    const child = new Child(process.execPath, args);
    await child.waitFor(/"listener":"admin".*"listening"/);
    return child;
  };
  let child = await start();
  const banner = await child.waitFor(/user admin, password \S+/);
  const password = /password (\S+)/.exec(banner)![1]!;
  const at = (port: number): { host: string; port: number } => ({ host: 'localhost', port: port + portOffset });
  return {
    name: 'heliograph',
    tcp: { ...at(1883), host: '127.0.0.1' },
    tls: at(8883),
    ws: { ...at(8083), host: '127.0.0.1' },
    wss: at(8084),
    tlsFacts: { caFile: join(data, 'pki', 'ca.crt'), client: await issueDevice(folder, join(data, 'pki')) },
    credentials: { username: 'admin', password },
    log: () => child.tail(),
    async crash() {
      child.kill('SIGKILL');
      await child.exit();
      child = await start();
    },
    async stop() {
      child.kill('SIGTERM');
      const code = await child.exit();
      await rm(folder, { recursive: true, force: true });
      if (code !== 0) throw new Error(`the broker ended with ${code}:\n${child.tail()}`);
    },
  };
}

/** A certificate for a device from the broker's own CA. */
async function issueDevice(folder: string, pki: string): Promise<{ certFile: string; keyFile: string }> {
  const openssl = async (...args: string[]): Promise<void> => {
    const { code, output } = await run('openssl', args, { cwd: folder });
    if (code !== 0) throw new Error(`openssl ${args.join(' ')}: ${output}`);
  };
  const key = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-keyout', 'device.key'];
  await openssl('req', ...key, '-subj', `/CN=${deviceName}`, '-out', 'device.csr');
  await writeFile(join(folder, 'device.ext'), 'extendedKeyUsage=clientAuth\nkeyUsage=digitalSignature\n');
  const issuer = ['-CA', join(pki, 'ca.crt'), '-CAkey', join(pki, 'ca-key.pem'), '-CAcreateserial', '-CAserial', 'ca.srl'];
  await openssl('x509', '-req', '-in', 'device.csr', ...issuer, '-days', '2', '-extfile', 'device.ext', '-out', 'device.pem');
  return { certFile: join(folder, 'device.pem'), keyFile: join(folder, 'device.key') };
}
