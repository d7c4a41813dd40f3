// Every target by name. Modules are loaded when they are asked for: coverage must have started before.

import type { Target } from './target.ts';

const loaders: Readonly<Record<string, () => Promise<{ readonly target: Target }>>> = {
  'mqtt-codec': () => import('./targets/mqtt-codec.ts'),
  'mqtt-connection': () => import('./targets/mqtt-connection.ts'),
  'amqp-connection': () => import('./targets/amqp-connection.ts'),
  'amqp-codec': () => import('./targets/amqp-codec.ts'),
  'stomp-codec': () => import('./targets/stomp-codec.ts'),
  'stomp-connection': () => import('./targets/stomp-connection.ts'),
  'coap-codec': () => import('./targets/coap-codec.ts'),
  'coap-message-layer': () => import('./targets/coap-message-layer.ts'),
  'journal-row': () => import('./targets/journal-row.ts'),
  'certificate-request': () => import('./targets/certificate-request.ts'),
  'certificate-chain': () => import('./targets/certificate-chain.ts'),
  'config-yaml': () => import('./targets/config-yaml.ts'),
  'ocsp-request': () => import('./targets/ocsp-request.ts'),
  'est-body': () => import('./targets/est-body.ts'),
  'policy-document': () => import('./targets/policy-document.ts'),
  oscore: () => import('./targets/oscore.ts'),
  'http-requests': () => import('./targets/http-requests.ts'),
  selector: () => import('./targets/selector.ts'),
  'dtls-record': () => import('./targets/dtls-record.ts'),
  'dtls-handshake': () => import('./targets/dtls-handshake.ts'),
  'policy-pattern': () => import('./targets/policy-pattern.ts'),
};

export const targetNames: readonly string[] = Object.keys(loaders);

export async function loadTarget(name: string): Promise<Target> {
  const load = loaders[name];
  if (load === undefined) throw new Error(`no target is called ${name}; there are ${targetNames.join(', ')}`);
  return (await load()).target;
}
