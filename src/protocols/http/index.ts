// The HTTP API as a protocol of the node: a pure machine on the broker's port.

import { protocolKind } from '../protocol-kind.ts';
import { HttpServer } from './server.ts';
import { httpOptions, httpSettings } from './settings.ts';

export type { HttpOptions } from './options.ts';
export type { HttpServerParts } from './server.ts';
export { openApiText } from './openapi.ts';

export const httpKind = protocolKind({
  name: 'http',
  title: 'HTTP',
  settings: httpSettings,
  listenerKinds: {
    'http-api': { wire: 'http', description: 'the HTTP API over HTTP/1.1' },
    'https-api': { wire: 'https', description: 'the HTTP API over HTTPS, HTTP/1.1 and HTTP/2' },
  },
  listeners: {
    https: { kind: 'https-api', host: '::', port: 8443 },
  },
  ordered: [
    ['http.leaseMs', 'http.maxLeaseMs', 'a lease that nobody asked for must be possible'],
    ['http.maxBatchBytes', 'http.maxUnfinishedBytes', 'a batch must be possible'],
    ['http.maxBodyBytes', 'http.maxBatchBytes', 'a batch of one message must be possible'],
  ],
  options: httpOptions,
  create(parts, options) {
    const requests = new HttpServer({ ...parts, options });
    return { requests, metrics: () => requests.metrics() };
  },
});
