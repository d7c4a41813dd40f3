// Our broker, as a user starts it: the real process, generated certificates, passwords needed, shifted ports.

import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

import { exportJWK, generateKeyPair, SignJWT } from 'jose';

import { shiftedPort } from '../../src/config/overrides.ts';
import { Child, run } from './process.ts';

import type { Endpoint, Target } from './target.ts';

const program = fileURLToPath(new URL('../../bin/heliograph.js', import.meta.url));

/** The topics that the device of the client certificate may use, by the default rules. */
export const deviceName = 'interop-device';

/** An issuer of tokens, and the application that they stand for. */
const issuer = 'https://issuer.invalid';

/** Ends with the section that a suite may go on with. */
const configuration = `
enrolment:
  serverKeyGeneration: true
mqtt:
  maxPacketBytes: 8MiB
`;

const tokens = (keysFile: string): string => `
security:
  jwt:
    issuers:
      - {name: interop, issuer: '${issuer}', audience: [heliograph], keys: file, keysFile: '${keysFile}', roles: [application]}
`;

export async function startHeliograph(portOffset: number, more = ''): Promise<Target & { readonly log: () => string }> {
  const folder = await mkdtemp(join(tmpdir(), 'interop-heliograph-'));
  const config = join(folder, 'heliograph.yaml');
  const data = join(folder, 'data');
  const { privateKey, publicKey } = await generateKeyPair('ES256');
  const keysFile = join(folder, 'keys.json');
  await writeFile(keysFile, JSON.stringify({ keys: [{ ...(await exportJWK(publicKey)), kid: 'interop', alg: 'ES256' }] }));
  // Suites have security of their own.
  await writeFile(config, configuration + more + (more.includes('security:') ? '' : tokens(keysFile)));
  const start = async (): Promise<Child> => {
    const args = [program, 'serve', '--config', config, '--data', data, '--port-offset', String(portOffset)];
    const child = new Child(process.execPath, args);
    await child.waitFor(/"listener":"admin".*"listening"/);
    return child;
  };
  let child = await start();
  const banner = await child.waitFor(/user admin, password \S+/);
  const password = /password (\S+)/.exec(banner)![1]!;
  const cli = async (...args: readonly string[]): Promise<string> => {
    const { code, output } = await run(process.execPath, [program, ...args, '--data', data]);
    if (code !== 0) throw new Error(`heliograph ${args.join(' ')}\nended with ${code}:\n${output}`);
    return output;
  };
  const token = async (id: string, ...options: readonly string[]): Promise<string> =>
    /hgt_\S+/.exec(await cli('enrol', 'token', 'create', id, ...options))![0];
  const caFile = join(data, 'pki', 'ca.crt');
  const at = (port: number): { host: string; port: number } => ({ host: 'localhost', port: shiftedPort(port, portOffset) });
  return {
    name: 'heliograph',
    tcp: { ...at(1883), host: '127.0.0.1' },
    tls: at(8883),
    ws: { ...at(8083), host: '127.0.0.1' },
    wss: at(8084),
    amqp: { ...at(5672), host: '127.0.0.1' },
    amqps: at(5671),
    stomp: { ...at(61_613), host: '127.0.0.1' },
    stomps: at(61_614),
    tlsFacts: { caFile, client: await issueDevice(folder, caFile, at(8085), await token(deviceName, '--new-devices')) },
    credentials: { username: 'admin', password },
    jwt: (subject) =>
      new SignJWT({})
        .setProtectedHeader({ alg: 'ES256', kid: 'interop' })
        .setIssuer(issuer)
        .setAudience('heliograph')
        .setSubject(subject)
        .setIssuedAt()
        .setExpirationTime('5m')
        .sign(privateKey),
    log: () => child.tail(),
    enrolment: {
      est: at(8085),
      token,
      cli,
    },
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

/** A certificate for a device from the broker's own CA, as a device without one comes to it. */
async function issueDevice(folder: string, caFile: string, est: Endpoint, token: string): Promise<{ certFile: string; keyFile: string }> {
  const key = '-newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout device.key';
  const url = `https://${est.host}:${est.port}/.well-known/est/simpleenroll`;
  const command = `openssl req -new ${key} -subj /CN=${deviceName} -outform DER | base64 |
    curl -sS --fail-with-body --cacert ${caFile} -u ${deviceName}:${token} -H 'Content-Type: application/pkcs10' --data-binary @- ${url} |
    base64 -d | openssl pkcs7 -inform DER -print_certs -out device.pem`;
  const { code, output } = await run('bash', ['-o', 'pipefail', '-c', command], { cwd: folder });
  if (code !== 0) throw new Error(`${command}: ${output}`);
  return { certFile: join(folder, 'device.pem'), keyFile: join(folder, 'device.key') };
}
