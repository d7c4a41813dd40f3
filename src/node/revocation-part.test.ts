// The whole way: an operator revokes, retires and registers by the management API, and handshakes, lists and OCSP follow.

import assert from 'node:assert/strict';
import { X509Certificate } from 'node:crypto';
import * as fs from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { atEnd, temporaryDirectory } from '../../test/contracts/temporary-journal.ts';
import { silentLog } from '../base/log.ts';
import { MqttClient } from '../client/index.ts';
import { parseConfig } from '../config.ts';
import { HeliographNode } from '../node.ts';
import { certificateFacts } from '../security/pki/certificate-facts.ts';
import { crlEntry, readCrl, signCrl } from '../security/pki/revocation/crl-format.ts';
import { ocspRequest, readOcspAnswer } from '../security/pki/revocation/ocsp-format.ts';
import { madeRoot } from '../security/pki/testing/made-certificates.ts';
import { freeListeners } from '../../test/harness/free-listeners.ts';

type Issued = {
  readonly certificate: string;
  readonly chain: string;
  readonly privateKey: string;
  readonly fingerprint: string;
  readonly serial: string;
};
type Identity = { readonly cert: string; readonly key: string };

async function running(t: TestContext) {
  const dataDir = temporaryDirectory(t);
  const file = join(dataDir, 'heliograph.json');
  const settings = {
    node: { dataDir },
    store: { kind: 'memory' },
    admin: { systemTopicsMs: 0 },
    revocation: { foreign: { privateAddresses: true, retryMs: 100 } },
    listeners: freeListeners(['mqtts', 'amqp', 'amqps', 'wss', 'admin', 'pki']),
  };
  fs.writeFileSync(file, JSON.stringify(settings));
  const node = new HeliographNode({
    config: parseConfig(file, fs.readFileSync(file, 'utf8')),
    log: silentLog,
    dev: false,
    onFatal: (error) => assert.fail(String(error)),
  });
  await node.start();
  atEnd(t, async () => void (await node.stop()));
  const portOf = (wanted: string): number => node.listeners.find(({ name }) => name === wanted)!.port;
  const { name, password } = node.firstAdmin!;
  const authorization = `Basic ${Buffer.from(`${name}:${password}`).toString('base64')}`;
  const post = async <T>(path: string, body: object = {}): Promise<T> => {
    const headers = { 'Content-Type': 'application/json', Authorization: authorization };
    const answer = await fetch(`http://127.0.0.1:${portOf('admin')}/api/v1${path}`, {
      method: 'POST',
      headers,
      body: JSON.stringify(body),
    });
    const text = await answer.text();
    assert.ok(answer.ok, `${path}: ${answer.status} ${text}`);
    return JSON.parse(text) as T;
  };
  const get = async (path: string): Promise<Buffer> => {
    const answer = await fetch(`http://127.0.0.1:${portOf('pki')}${path}`);
    assert.equal(answer.status, 200, path);
    return Buffer.from(await answer.arrayBuffer());
  };
  return { post, get, ...clientsOf(t, portOf) };
}

function clientsOf(t: TestContext, portOf: (name: string) => number) {
  /** Whether it is let in. */
  const connects = async (identity: Identity, listener: 'mqtts' | 'wss' = 'mqtts'): Promise<boolean> => {
    const transport = listener === 'mqtts' ? 'tls' : 'wss';
    const endpoint = { transport, host: '127.0.0.1', port: portOf(listener), path: transport === 'wss' ? '/mqtt' : '' } as const;
    const client = new MqttClient({ endpoint, tls: { insecure: true, ...identity }, onMessage: () => {}, onEnd: () => {} });
    try {
      await client.connect();
      return true;
    } catch {
      return false;
    } finally {
      client.destroy();
    }
  };
  /** Connected on mqtts; `ended` once the broker has ended it. */
  const stays = async (identity: Identity): Promise<{ ended: boolean }> => {
    const endpoint = { transport: 'tls', host: '127.0.0.1', port: portOf('mqtts'), path: '' } as const;
    const seen = { ended: false };
    const client = new MqttClient({
      endpoint,
      tls: { insecure: true, ...identity },
      onMessage: () => {},
      onEnd: () => (seen.ended = true),
    });
    atEnd(t, () => client.destroy());
    await client.connect();
    return seen;
  };
  return { connects, stays };
}

const deviceOf = ({ certificate, chain, privateKey }: Issued): Identity => ({ cert: certificate + chain, key: privateKey });

async function until(condition: () => Promise<boolean>, what: string): Promise<void> {
  const untilMs = performance.now() + 2000;
  while (!(await condition())) {
    assert.ok(performance.now() < untilMs, `not within two seconds: ${what}`);
    // The public listener answers 100 requests a second.
    await sleep(25);
  }
}

test('a revoked device is refused at the handshake of every listener, and lists and OCSP say so', async (t) => {
  const { post, get, connects } = await running(t);
  await post('/devices', { id: 'pump-7' });
  const issued = await post<Issued>('/certificates', { owner: { kind: 'device', id: 'pump-7' } });
  const issuing = certificateFacts(new X509Certificate(issued.chain).raw)!;
  const said = async (): Promise<string> => {
    const question = ocspRequest(issuing, issued.serial, undefined).toString('base64');
    return readOcspAnswer(await get(`/ocsp/${encodeURIComponent(question)}`))!.answers[0]!.status.kind;
  };
  const isListed = async (): Promise<boolean> => {
    const list = await readCrl(await get(`/crl/${issuing.keyId}.crl`), async () => {});
    return list!.revoked.get(issued.serial) !== undefined;
  };
  for (const listener of ['mqtts', 'wss'] as const) assert.equal(await connects(deviceOf(issued), listener), true, listener);
  assert.deepEqual([await said(), await isListed()], ['good', false]);
  await post(`/certificates/${issued.fingerprint}/revoke`, { reason: 'keyCompromise' });
  for (const listener of ['mqtts', 'wss'] as const) assert.equal(await connects(deviceOf(issued), listener), false, listener);
  assert.equal(await said(), 'revoked');
  await until(isListed, 'the list has it');
});

test('a device of a registered factory is added, asked for at its factory, and means nothing when that is retired', async (t) => {
  const { post, connects, stays } = await running(t);
  const factory = madeRoot('Factory');
  const robot = factory.issue('robot-1', { uris: ['heliograph:main/robot-1'] });
  const identity: Identity = { cert: robot.pem, key: robot.keyPem };
  let list: Buffer | undefined;
  let asked = 0;
  const server = createServer((_request, response) => {
    asked++;
    response.writeHead(list === undefined ? 503 : 200).end(list);
  });
  await new Promise<void>((resolve) => {
    server.listen(0, '127.0.0.1', resolve);
  });
  atEnd(t, () => void server.close());
  const { port } = server.address() as AddressInfo;
  const isThere = async (): Promise<boolean> => {
    return post('/devices', { id: 'robot-1' }).then(
      () => false,
      () => true,
    );
  };
  const setList = async (revoked: readonly string[], number: number): Promise<void> => {
    const { subjectName: issuerName, subjectKeyId } = factory.facts;
    const thisUpdateMs = Date.now() - 1000;
    const times = { thisUpdateMs, nextUpdateMs: thisUpdateMs + 3_600_000 };
    const entries = revoked.map((serial) => crlEntry(serial, thisUpdateMs, 1));
    const fields = { issuerName, authorityKeyId: subjectKeyId!, ...times, number, baseNumber: undefined, freshestUrl: undefined, entries };
    list = await signCrl(fields, factory.signer);
  };
  assert.equal(await connects(identity), false, 'nobody knows its factory');
  const { authority, nonce } = await post<{ authority: { id: string }; nonce: string }>('/authorities', {
    certificate: factory.pem,
    registration: 'just-in-time',
    roles: [],
    revocationCheck: 'hard',
    crlUrls: [`http://127.0.0.1:${port}/list.crl`],
  });
  assert.equal(await connects(identity), false, 'nobody has proved to be it');
  await post(`/authorities/${authority.id}/prove`, { proof: factory.issue(nonce).pem });
  // Listeners trust it a moment later.
  const isRefusedAndAsked = async (): Promise<boolean> => {
    assert.equal(await connects(identity), false, 'it cannot be asked');
    return asked > 0;
  };
  await until(isRefusedAndAsked, 'its list is asked for');
  await setList([], 1);
  // An address that has failed is left alone for a while.
  await until(() => connects(identity), 'it is let in');
  assert.equal(await isThere(), true, 'it was added');
  const other = factory.issue('robot-2', { uris: ['heliograph:main/robot-2'] });
  assert.equal(await connects({ cert: other.pem, key: other.keyPem }), true);
  const connection = await stays(identity);
  await post(`/authorities/${authority.id}/retire`, { force: true });
  await until(async () => connection.ended, 'who is connected is cut off');
  await until(async () => !(await connects(identity)), 'it is let in no more');
});
