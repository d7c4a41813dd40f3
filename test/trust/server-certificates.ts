// The broker's own certificates are replaced while it works: new handshakes see the new ones, by the name that they ask for, and no
// connection is dropped.

import assert from 'node:assert/strict';
import { copyFileSync } from 'node:fs';
import { join } from 'node:path';
import type { TLSSocket } from 'node:tls';

import { accountFor, mqttDoors, overTls, type Line } from './doors.ts';
import { OpensslAuthority } from './openssl-authority.ts';

import type { Checks } from '../interop/checks.ts';
import type { ListenerName, World } from './world.ts';

const listeners = ['mqtts', 'amqps', 'wss', 'est', 'https'] as const satisfies readonly ListenerName[];

async function shownTo(world: World, listener: ListenerName, servername: string, ca: string): Promise<string> {
  const socket: TLSSocket = await overTls(world.port(listener), { host: '127.0.0.1', servername, ca });
  const { subject } = socket.getPeerCertificate();
  socket.destroy();
  return String(subject.CN);
}

export async function serverCertificates(checks: Checks, world: World): Promise<void> {
  await checks.check('server: certificates are replaced, and found by name, without dropping a connection', async (context) => {
    const authority = await OpensslAuthority.make(join(world.folder, 'servers'), 'servers');
    for (const [name, names] of [
      ['first-1', 'DNS:localhost,DNS:first.example'],
      ['first-2', 'DNS:localhost,DNS:first.example'],
      ['second-1', 'DNS:second.example'],
      ['wild-1', 'DNS:*.plant.example'],
    ] as const) {
      await authority.issue(name, { as: 'server', names });
    }
    const place = (file: string): string => join(authority.folder, file);
    const use = (from: string, to: string): void => {
      copyFileSync(place(`${from}-chain.pem`), place(`${to}.pem.used`));
      copyFileSync(place(`${from}.key`), place(`${to}.key.used`));
    };
    const entry = (name: string): string => `{certificateFile: '${place(name)}.pem.used', privateKeyFile: '${place(name)}.key.used'}`;
    const settings = `tls: {certificates: [${['first', 'second', 'wild'].map(entry).join(', ')}]}\n`;
    const ca = authority.text('servers.pem');

    const steady: Line[] = [];
    for (const door of mqttDoors) steady.push(await door.open(world, await accountFor(world, door)));
    context.after(() => steady.forEach((line) => line.close()));
    // Afterwards everybody sees again what the broker made itself.
    context.after(() => world.reload(''));
    for (const name of ['first', 'second', 'wild']) use(`${name}-1`, name);
    await world.reload(settings);
    for (const [round, first] of ['first-1', 'first-2'].entries()) {
      if (round === 1) {
        use('first-2', 'first');
        await world.reload(settings);
      }
      for (const listener of listeners) {
        const what = `${listener}, round ${round}`;
        assert.equal(await shownTo(world, listener, 'first.example', ca), first, what);
        assert.equal(await shownTo(world, listener, 'second.example', ca), 'second-1', what);
        assert.equal(await shownTo(world, listener, 'pump-7.plant.example', ca), 'wild-1', what);
        // Who asks for a name that nobody has sees the first.
        assert.equal(await shownTo(world, listener, 'localhost', ca), first, what);
      }
      for (const line of steady) await line.works();
    }
  });
  await checks.check('server: a certificate that does not fit its key is not taken, and everything stays as it was', async () => {
    const place = join(world.folder, 'servers');
    const settings = `tls: {certificates: [{certificateFile: '${place}/first-1.pem', privateKeyFile: '${place}/second-1.key'}]}\n`;
    await world.reload(settings, 'not reloaded');
    const door = mqttDoors.find(({ name }) => name === 'mqtts by certificate')!;
    const line = await door.open(world, await accountFor(world, door));
    await line.works();
    line.close();
    await world.reload('');
  });
}
