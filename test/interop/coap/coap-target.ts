// Our broker with CoAP in all its forms, on ports of its own, and devices that prove who they are in each of the ways.

import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { deviceName, startHeliograph } from '../heliograph-target.ts';
import { run } from '../process.ts';

import type { Endpoint, Target } from '../target.ts';

/** In clear only strangers come here, who may do what applications may. */
const configuration = `
listeners:
  coap: {devOnly: false}
  coap-tcp: {devOnly: false}
  coaps: {psk: true}
  coaps-tcp: {psk: true}
security:
  anonymous: {enabled: true, roles: [application], listeners: [coap, coap-tcp, ws]}
`;

export type CoapTarget = Required<Pick<Target, 'amqp' | 'enrolment'>> & {
  readonly mqtt: Endpoint;
  readonly ws: Endpoint;
  readonly credentials: { readonly username: string; readonly password: string };
  /** In clear: UDP and TCP. */
  readonly coap: Endpoint;
  /** DTLS and TLS. */
  readonly coaps: Endpoint;
  readonly caFile: string;
  readonly client: { readonly certFile: string; readonly keyFile: string };
  /** 32 bytes in hexadecimal, none of them zero: as an argument of a command it would end there. */
  readonly psk: { readonly identity: string; readonly keyHex: string };
  /** PEM (SEC 1) of a private key whose public one is known, and of one whose public one is not. */
  readonly rawKeyFile: string;
  readonly strangeKeyFile: string;
  /** A context as both ends have it; ids as the device sees them. */
  readonly oscore: { readonly secretHex: string; readonly saltHex: string; readonly senderHex: string; readonly recipientHex: string };
  /** For files of checks. */
  readonly folder: string;
  stop(): Promise<void>;
};

export async function startCoapTarget(portOffset: number): Promise<CoapTarget> {
  const broker = await startHeliograph(portOffset, configuration);
  const { enrolment, tlsFacts, credentials, amqp, tcp, ws } = broker;
  if (enrolment === undefined || tlsFacts?.client === undefined || credentials === undefined || amqp === undefined || ws === undefined) {
    throw new Error('the broker has not what CoAP is tried with');
  }
  const folder = await mkdtemp(join(tmpdir(), 'interop-coap-'));
  const { cli } = enrolment;
  await cli('device', 'roles', deviceName, 'application');
  const add = (id: string): Promise<string> => cli('device', 'add', id, '--role', 'application', '--out', join(folder, id));
  await add('psk-device');
  await add('rpk-device');
  await add('oscore-device');
  const rawKeyFile = join(folder, 'raw.key');
  const publicKeyFile = join(folder, 'raw.pub');
  const strangeKeyFile = join(folder, 'strange.key');
  for (const file of [rawKeyFile, strangeKeyFile]) await openssl('ecparam', '-name', 'prime256v1', '-genkey', '-noout', '-out', file);
  await openssl('pkey', '-in', rawKeyFile, '-pubout', '-out', publicKeyFile);
  await cli('device', 'rpk', 'add', 'rpk-device', publicKeyFile);
  const oscore = { secretHex: '0102030405060708090a0b0c0d0e0f10', saltHex: '9e7ca92223786340', senderHex: '01', recipientHex: '02' };
  const secretFile = join(folder, 'secret');
  await writeFile(secretFile, oscore.secretHex);
  // What the node receives with is what the device sends with.
  const ids = ['--sender-id', oscore.recipientHex, '--recipient-id', oscore.senderHex];
  await cli('device', 'oscore', 'add', 'oscore-device', ...ids, '--secret-file', secretFile, '--salt', oscore.saltHex);
  return {
    mqtt: tcp,
    ws,
    amqp,
    enrolment,
    credentials,
    coap: { host: '127.0.0.1', port: 5683 + portOffset },
    coaps: { host: 'localhost', port: 5684 + portOffset },
    caFile: tlsFacts.caFile,
    client: tlsFacts.client,
    psk: { identity: 'main/psk-device', keyHex: await keyOf('psk-device', cli) },
    rawKeyFile,
    strangeKeyFile,
    oscore,
    folder,
    async stop() {
      await rm(folder, { recursive: true, force: true });
      await broker.stop();
    },
  };
}

async function keyOf(id: string, cli: (...args: readonly string[]) => Promise<string>): Promise<string> {
  for (;;) {
    const hex = /[0-9a-f]{64}/.exec(await cli('device', 'psk', id))![0];
    if (!hex.match(/../g)!.includes('00')) return hex;
  }
}

async function openssl(...args: readonly string[]): Promise<void> {
  const { code, output } = await run('openssl', args);
  if (code !== 0) throw new Error(`openssl ${args.join(' ')}: ${output}`);
}
