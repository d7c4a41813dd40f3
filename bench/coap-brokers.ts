// Servers beside which CoAP is measured: libcoap's, as Debian has it, the one of npm, and a bare socket of Node, which is below what any
// server in Node can do.

import { spawnSync } from 'node:child_process';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Broker } from './brokers.ts';
import { hasProgram } from './machine.ts';

/** Of libcoap's server. As text, it is what its command line wants. */
const key = 'a key for benches';
const psk = { identity: 'main/bench-psk', keyHex: Buffer.from(key).toString('hex') };

/** It keeps one example value, that is set by PUT and can be observed. Its DTLS is on the port behind. */
export function libcoap(): Broker | undefined {
  const program = 'coap-server-openssl';
  if (!hasProgram(program)) return undefined;
  const version = /v(\d\S+)/.exec(spawnSync(program, ['-?'], { encoding: 'utf8' }).stderr)?.[1] ?? 'unknown';
  return {
    name: 'libcoap',
    version,
    onlyCoap: true,
    coap: { target: ['-P', 'example_data', '-m', 3], hasDtls: true, canBeObserved: true, preSharedKey: () => psk },
    command: (_, { coap }, { authority, serverCertificate, serverKey }) => [
      ...[program, '-A', '127.0.0.1', '-p', String(coap), '-N', '-v', '2'],
      ...['-k', key, '-c', serverCertificate, '-j', serverKey, '-C', authority],
    ],
  };
}

/** The package `coap`, with which most servers in Node are written. */
export function nodeCoap(): Broker | undefined {
  const folder = join(import.meta.dirname, '..', 'node_modules', 'coap');
  if (!existsSync(folder)) return undefined;
  const { version } = JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8')) as { version: string };
  return inNode('coap of npm', version, [
    `import coap from ${JSON.stringify(join(folder, 'dist', 'index.js'))};`,
    'const server = coap.createServer((request, response) => { response.code = "2.04"; response.end(); });',
    "server.listen(Number(process.argv[2]), '127.0.0.1');",
  ]);
}

/** Answers each datagram with 2.04 and its token, and knows nothing of CoAP besides. */
export function bareSocket(): Broker {
  return inNode('node:dgram', process.versions.node, [
    "import { createSocket } from 'node:dgram';",
    "const socket = createSocket({ type: 'udp4', lookup: (name, family, done) => done(null, name, family) });",
    "socket.bind(Number(process.argv[2]), '127.0.0.1');",
    "socket.on('message', (bytes, { address, port }) => {",
    '  if (bytes.length === 4) bytes[0] = 0x70;',
    '  else { bytes[0] = (bytes[0] & 0x0f) | ((bytes[0] & 0x30) === 0 ? 0x60 : 0x50); bytes[1] = 0x44; }',
    '  socket.send(bytes.subarray(0, 4 + (bytes[0] & 0x0f)), port, address);',
    '});',
  ]);
}

function inNode(name: string, version: string, lines: readonly string[]): Broker {
  return {
    name,
    version,
    onlyCoap: true,
    coap: { target: ['-P', 't/bench/x'], hasDtls: false, canBeObserved: false },
    command(directory, { coap }) {
      const program = join(directory, 'serve.mjs');
      writeFileSync(program, `${lines.join('\n')}\n`);
      return [process.execPath, program, String(coap)];
    },
  };
}
