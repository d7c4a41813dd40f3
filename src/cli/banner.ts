// What `serve` says once it runs: what listens where, where the data is, how to connect.

import { hostname } from 'node:os';
import { resolve } from 'node:path';
import { listenerKinds } from '../config/listener-kinds.ts';
import { isLoopback } from '../config/relations.ts';
import type { HeliographNode } from '../node.ts';
import type { OpenListener } from '../node/listeners-part.ts';
import { packageVersion } from '../node/version.ts';

/** The whole text for people; `onlySecrets`: just what is shown once, for an output that a machine reads. */
export function banner(node: HeliographNode, options: { readonly dev: boolean; readonly onlySecrets: boolean }): string {
  const credential = firstCredential(node);
  if (options.onlySecrets) return credential.map((line) => `${line}\n`).join('');
  const lines = ['', `Heliograph ${packageVersion()} runs. Stop it with Ctrl-C.`, ''];
  if (options.dev) lines.push('!!! --dev: ANYBODY ON THIS MACHINE MAY READ AND WRITE EVERYTHING. Never use it for real data. !!!', '');
  const width = Math.max(...node.listeners.map((listener) => address(listener).length));
  for (const listener of node.listeners) lines.push(`  ${address(listener).padEnd(width)}  ${listenerKinds[listener.kind].description}`);
  lines.push('', `  data in ${resolve(node.config.node.dataDir)}`);
  if (credential.length > 0) lines.push('', ...credential.map((line) => `  ${line}`));
  lines.push('', ...howToConnect(node, options.dev), '');
  return `${lines.join('\n')}\n`;
}

function firstCredential({ firstAdmin }: HeliographNode): string[] {
  if (firstAdmin === undefined) return [];
  return [`Administrator, shown only now: user ${firstAdmin.name}, password ${firstAdmin.password}`];
}

/** Lines to copy: the plain listener on loopback if there is one, and TLS from elsewhere. */
function howToConnect(node: HeliographNode, dev: boolean): string[] {
  const plain = node.listeners.find((listener) => listener.kind === 'tcp' && isLoopback(listener.host));
  const secure = node.listeners.find((listener) => listener.kind === 'tls');
  const { firstAdmin } = node;
  const credentials = dev ? '' : ` -u ${firstAdmin?.name ?? 'USER'} -P ${firstAdmin?.password ?? 'PASSWORD'}`;
  const lines: string[] = [];
  if (plain !== undefined) {
    lines.push('Try it here:', `  mosquitto_sub -h ${plain.host} -p ${plain.port}${credentials} -t 'hello/#' -v`);
    lines.push(`  mosquitto_pub -h ${plain.host} -p ${plain.port}${credentials} -t hello/world -m 'first light'`);
  }
  if (secure !== undefined && !isLoopback(secure.host)) {
    const authority = node.authorityFile === undefined ? '' : ` --cafile ${node.authorityFile}`;
    lines.push('From another machine:', `  heliograph sub --url mqtts://${hostname()}:${secure.port}${authority} -u USER -t 'hello/#' -v`);
  }
  if (!dev) lines.push('Devices, each with a certificate: heliograph device add NAME', 'Users: heliograph user add NAME');
  return lines.map((line) => `  ${line}`);
}

function address({ host, port }: OpenListener): string {
  return host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`;
}
