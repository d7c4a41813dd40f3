import assert from 'node:assert/strict';
import { createServer, request } from 'node:https';
import type { AddressInfo } from 'node:net';
import { test } from 'node:test';
import { describeCertificate } from '../security/peer-certificate.ts';
import { madeRoot, type Made } from '../security/pki/testing/made-certificates.ts';
import type { HandshakeVerdict } from '../security/security.ts';
import { ClientCertificates } from './client-certificates.ts';

const root = madeRoot('Root');
const server = root.issue('server', { usages: ['1.3.6.1.5.5.7.3.1'] });
const good = root.issue('good');
const bad = root.issue('bad');
const strange = madeRoot('Stranger').issue('good');

test('a client is known by its certificate, and cut off before its first request when that is not taken', async (t) => {
  const clients = new ClientCertificates();
  let isLater = false;
  const told: string[] = [];
  const guard = {
    admit(certificate: Made['x509']) {
      const described = { ...describeCertificate(certificate), issuers: ['id'] };
      const verdict: HandshakeVerdict =
        described.commonName === 'good' ? { ok: true, certificate: described } : { ok: false, fault: 'revoked' };
      return isLater ? new Promise<HandshakeVerdict>((resolve) => void setImmediate(resolve, verdict)) : verdict;
    },
    refused: (fault: string, _certificate: unknown, from: { listener: string }) => void told.push(`${fault} ${from.listener}`),
  };
  const options = { key: server.keyPem, cert: server.pem, ca: root.pem, requestCert: true, rejectUnauthorized: false };
  const https = createServer(options, (incoming, response) => {
    clients.whenJudged(incoming.socket, () => {
      const found = clients.of(incoming.socket);
      response.end(JSON.stringify([found?.commonName, found?.issuers]));
    });
  });
  https.on('secureConnection', (socket) =>
    clients.secured(socket, 'admin', { describe: describeCertificate, faultOf: () => 'unknown-authority', guard }),
  );
  await new Promise<void>((resolve) => {
    https.listen(0, '127.0.0.1', resolve);
  });
  t.after(() => https.close());
  const { port } = https.address() as AddressInfo;
  const ask = (made?: Made): Promise<string> =>
    new Promise((resolve) => {
      const own = made === undefined ? {} : { cert: made.pem, key: made.keyPem };
      const sent = request(
        { port, host: '127.0.0.1', ca: root.pem, checkServerIdentity: () => undefined, agent: false, ...own },
        (response) => {
          response.setEncoding('utf8').once('data', resolve);
        },
      );
      sent.on('error', () => resolve('cut'));
      sent.end();
    });
  for (isLater of [false, true]) {
    assert.equal(await ask(good), '["good",["id"]]');
    assert.equal(await ask(bad), 'cut');
    assert.equal(await ask(), '[null,null]');
    assert.equal(await ask(strange), 'cut', 'a wrong one is not the same as none');
  }
  assert.deepEqual(told, ['unknown-authority admin', 'unknown-authority admin']);
});
