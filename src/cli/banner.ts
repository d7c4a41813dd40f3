// What `serve` says once it runs: what listens where, where the data is, how to connect.

import { resolve } from 'node:path';
import type { HeliographNode, OpenListener } from '../node.ts';
import { packageVersion } from './version.ts';

const kinds: Readonly<Record<string, string>> = {
  tcp: 'MQTT',
  tls: 'MQTT, TLS',
  ws: 'MQTT over WebSocket',
  wss: 'MQTT over WebSocket, TLS',
  http: 'management',
  https: 'management, TLS',
};

export function banner(node: HeliographNode, options: { readonly dev?: boolean }): string {
  const lines = [``, `Heliograph ${packageVersion()} runs. Stop it with Ctrl-C.`, ``];
  if (options.dev === true)
    lines.push('!!! --dev: ANYBODY ON THIS MACHINE MAY READ AND WRITE EVERYTHING. Never use it for real data. !!!', '');
  for (const listener of node.listeners) lines.push(`  ${address(listener).padEnd(28)} ${kinds[listener.kind] ?? listener.kind}`);
  lines.push('', `  data in ${resolve(node.config.node.dataDir)}`, '');
  return `${lines.join('\n')}\n`;
}

function address({ host, port }: OpenListener): string {
  return host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`;
}
