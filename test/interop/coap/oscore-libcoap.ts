// OSCORE with libcoap's client, from 4.3.4 on: what it asks is from the device of the context, its number goes on in a file, what was
// said before is a replay, and a device without a number derives fresh keys (RFC 8613 appendix B.2).

import assert from 'node:assert/strict';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';

import { run } from '../process.ts';

import type { Checks } from '../checks.ts';
import type { CoapTarget } from './coap-target.ts';

const client = 'coap-client-openssl';

export async function oscoreLibcoapChecks(checks: Checks, target: CoapTarget): Promise<void> {
  const name = 'OSCORE: libcoap: requests, observe, a replay, fresh keys';
  if (!checks.wanted(name)) return;
  const { output: usage } = await run(client, ['-h']);
  if (!/-E /.test(usage)) {
    checks.skip(name, `this ${client} knows no OSCORE (libcoap before 4.3.4)`);
    return;
  }
  await checks.check(name, async ({ unique }) => {
    const topic = `oscore/${unique}`;
    const { secretHex, saltHex, senderHex, recipientHex } = target.oscore;
    const file = (each: string): string => join(target.folder, `${unique}-${each}`);
    const lines = (secret: string, salt: string, sender: string, recipient: string, more = ''): string =>
      `master_secret,hex,"${secret}"\nmaster_salt,hex,"${salt}"\nsender_id,hex,"${sender}"\nrecipient_id,hex,"${recipient}"\n${more}`;
    await writeFile(file('conf'), lines(secretHex, saltHex, senderHex, recipientHex));
    const ask = async (context: string, ...args: readonly string[]): Promise<string> => {
      const uri = `coap://127.0.0.1:${target.coap.port}/t/${topic}`;
      return (await run('timeout', ['20', client, '-B', '10', '-E', context, ...args, uri])).output;
    };
    const counting = `${file('conf')},${file('seq')}`;
    // Others may have used the context before: their numbers must be below.
    await writeFile(file('seq'), '100000\n');
    assert.equal((await ask(counting, '-m', 'put', '-e', 'sealed')).trim(), '');
    assert.match(await ask(counting), /sealed/);
    assert.match(await ask(counting, '-s', '1'), /sealed/);
    assert.match(await ask(file('conf')), /4\.01 Replay detected/);
    // By Q-Block where it has that: 4.3.4 can send so, but opens only the first of several answers to one request.
    const large = 'sealed in blocks '.repeat(500);
    await writeFile(file('large'), large);
    assert.equal((await ask(counting, '-L', '5', '-N', '-b', '256', '-m', 'put', '-f', file('large'))).trim(), '');
    assert.ok((await ask(counting)).includes(large));
    assert.equal((await ask(counting, '-m', 'put', '-e', 'sealed')).trim(), '');

    const added = await target.enrolment.cli('device', 'oscore', 'add', 'oscore-device', '--rederivation', '--json');
    const { masterSecret, masterSalt, senderId, recipientId } = JSON.parse(added) as Record<string, string>;
    await writeFile(file('fresh'), lines(masterSecret!, masterSalt!, recipientId!, senderId!, 'rfc8613_b_2,bool,true\n'));
    for (let i = 0; i < 3; i++) assert.match(await ask(file('fresh')), /sealed/);
  });
}
