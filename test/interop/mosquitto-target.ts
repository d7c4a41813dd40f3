// Debian's mosquitto as the target: proves the checks themselves where our broker is not in question.

import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { Child, run } from './process.ts';

import type { Target } from './target.ts';

export async function startMosquitto(firstPort: number): Promise<Target> {
  const folder = await mkdtemp(join(tmpdir(), 'interop-mosquitto-'));
  const tlsFacts = await makeCertificates(folder);
  const [tcp, tls, ws, wss] = [0, 1, 2, 3].map((n) => ({ host: 'localhost', port: firstPort + n }));
  const secure = [`cafile ${tlsFacts.caFile}`, `certfile ${folder}/server.pem`, `keyfile ${folder}/server.key`];
  const config = [
    'per_listener_settings false',
    'user root',
    'allow_anonymous true',
    'max_queued_messages 0',
    `listener ${tcp!.port} 127.0.0.1`,
    `listener ${tls!.port} 127.0.0.1`,
    ...secure,
    `listener ${ws!.port} 127.0.0.1`,
    'protocol websockets',
    `listener ${wss!.port} 127.0.0.1`,
    'protocol websockets',
    ...secure,
  ];
  await writeFile(join(folder, 'mosquitto.conf'), `${config.join('\n')}\n`);
  const child = new Child('mosquitto', ['-v', '-c', join(folder, 'mosquitto.conf')]);
  await child.waitFor(/running/);
  return {
    name: 'mosquitto (Debian)',
    tcp: tcp!,
    tls: tls!,
    ws: ws!,
    wss: wss!,
    tlsFacts,
    credentials: undefined,
    crash: undefined,
    async stop() {
      child.kill();
      await child.exit();
      await rm(folder, { recursive: true, force: true });
    },
  };
}

async function makeCertificates(folder: string): Promise<NonNullable<Target['tlsFacts']>> {
  const openssl = async (...args: string[]): Promise<void> => {
    const { code, output } = await run('openssl', args, { cwd: folder });
    if (code !== 0) throw new Error(`openssl ${args.join(' ')}: ${output}`);
  };
  const curve = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-days', '2'];
  await openssl('req', '-x509', ...curve, '-subj', '/CN=interop CA', '-keyout', 'ca.key', '-out', 'ca.pem');
  for (const [name, subject] of [
    ['server', '/CN=localhost'],
    ['client', '/CN=interop-device'],
  ] as const) {
    await writeFile(join(folder, `${name}.ext`), 'subjectAltName=DNS:localhost,IP:127.0.0.1\n');
    await openssl('req', ...curve, '-subj', subject, '-keyout', `${name}.key`, '-out', `${name}.csr`);
    const sign = ['-CA', 'ca.pem', '-CAkey', 'ca.key', '-CAcreateserial', '-days', '2', '-extfile', `${name}.ext`];
    await openssl('x509', '-req', '-in', `${name}.csr`, ...sign, '-out', `${name}.pem`);
  }
  return { caFile: join(folder, 'ca.pem'), client: { certFile: join(folder, 'client.pem'), keyFile: join(folder, 'client.key') } };
}
