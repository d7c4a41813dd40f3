// EST over CoAP (RFC 9148) with libcoap's clients and openssl: a device renews its certificate, over DTLS by either library, and by the
// new one it goes on; what it may not ask is refused.

import assert from 'node:assert/strict';
import { X509Certificate } from 'node:crypto';
import { mkdtemp, readFile } from 'node:fs/promises';
import { join } from 'node:path';

import { run } from '../process.ts';

import type { Checks } from '../checks.ts';
import type { CoapTarget } from './coap-target.ts';

type Shown = { readonly certificate: string; readonly key: string };

export async function estCoapChecks(checks: Checks, target: CoapTarget): Promise<void> {
  for (const library of ['gnutls', 'openssl'] as const) {
    await checks.check(`EST over CoAP: libcoap (${library}): authorities, renewal, and on by the new certificate`, async ({ unique }) => {
      const id = `est-coap-${unique}`;
      const folder = join(target.folder, id);
      await target.enrolment.cli('device', 'add', id, '--out', folder);
      const scratch = await mkdtemp(join(target.folder, 'est-'));
      const file = (name: string): string => join(scratch, name);
      const own = { certificate: join(folder, 'chain.crt'), key: join(folder, 'device.key') };
      const ask = (operation: string, shown: Shown, ...args: readonly string[]): Promise<string> => {
        const uri = `coaps://localhost:${target.coaps.port}/.well-known/est/${operation}`;
        const trust = ['-C', target.caFile, '-c', shown.certificate, '-j', shown.key];
        return output(`coap-client-${library}`, '-B', '10', ...trust, ...args, uri);
      };
      const request = async (name: string, subject: string): Promise<void> => {
        const key = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-keyout', file(`${name}.key`)];
        await output('openssl', 'req', '-new', ...key, '-subj', `/CN=${subject}`, '-outform', 'DER', '-out', file(`${name}.csr`));
      };

      await ask('crts', own, '-A', '281', '-o', file('crts.p7'));
      const authorities = await output('openssl', 'pkcs7', '-inform', 'DER', '-in', file('crts.p7'), '-print_certs');
      assert.match(authorities, /Root CA[^]*Issuing CA/);
      await ask('att', own, '-o', file('att.der'));
      assert.match(await output('openssl', 'asn1parse', '-inform', 'DER', '-in', file('att.der')), /prime256v1/);

      await request('next', id);
      const post = (name: string): readonly string[] => ['-m', 'post', '-t', '286', '-f', file(`${name}.csr`)];
      await ask('sren', own, ...post('next'), '-A', '287', '-o', file('next.der'));
      const next = new X509Certificate(await readFile(file('next.der')));
      assert.match(next.subject, new RegExp(`CN=${id}`));
      await output('openssl', 'pkcs7', '-inform', 'DER', '-in', file('crts.p7'), '-print_certs', '-out', file('crts.pem'));
      await output('openssl', 'x509', '-inform', 'DER', '-in', file('next.der'), '-out', file('next.pem'));
      await output('sh', '-c', `cat '${file('crts.pem')}' >> '${file('next.pem')}'`);
      const renewed = { certificate: file('next.pem'), key: file('next.key') };
      await request('after', id);
      await ask('sen', renewed, ...post('after'), '-A', '287', '-o', file('after.der'));
      assert.notEqual(new X509Certificate(await readFile(file('after.der'))).serialNumber, next.serialNumber);
      // The target makes keys for devices.
      await ask('skc', renewed, ...post('after'), '-o', file('made.cbor'));
      assert.equal((await readFile(file('made.cbor')))[0], 0x84);

      await request('other', 'somebody-else');
      assert.match(await ask('sren', renewed, ...post('other')), /4\.00/);
      assert.match(await ask('sen', renewed, '-m', 'post', '-t', '0', '-e', 'x'), /4\.15/);
      await target.enrolment.cli('device', 'disable', id);
      assert.doesNotMatch(await ask('crts', renewed).catch(() => 'refused'), /Heliograph/);
    });
  }
}

async function output(command: string, ...args: readonly string[]): Promise<string> {
  const ended = await run('timeout', ['20', command, ...args]);
  if (ended.code !== 0) throw new Error(`${command} ${args.join(' ')}\nended with ${ended.code}:\n${ended.output}`);
  return ended.output;
}
