// How the back end's programs reach the broker.

import { readFileSync } from 'node:fs';
import rhea from 'rhea';

/** `id`: what links belong to. A program that comes back with the same one finds its subscriptions. */
export function connect(id) {
  return rhea.create_container({ id }).connect({
    host: 'localhost',
    port: 5671,
    transport: 'tls',
    ca: readFileSync('ca.crt'),
    username: 'backend',
    password: readFileSync('backend.password', 'utf8').trim(),
    reconnect: false,
  });
}
