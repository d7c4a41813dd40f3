// What others answer over HTTP: an issuer of tokens with its key set, a revocation list, and a webhook that never answers.

import { createPublicKey, generateKeyPairSync, sign, type KeyObject } from 'node:crypto';
import { createServer, type Server } from 'node:http';

import type { AddressInfo } from 'node:net';

export type Claims = Readonly<Record<string, unknown>>;
type Making = { readonly header?: Claims; readonly key?: KeyObject; readonly signature?: string };

function newKey(): KeyObject {
  return generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey;
}

function part(value: unknown): string {
  return Buffer.from(JSON.stringify(value)).toString('base64url');
}

export class Issuer {
  readonly name = 'https://login.plant.example';
  readonly audience = 'heliograph';
  readonly url: string;
  readonly #server: Server;
  readonly #key = newKey();
  readonly #keyId = 'plant-1';
  /** Questions to the webhook that wait for an answer. */
  unanswered = 0;
  /** A revocation list, DER. */
  list: Buffer = Buffer.alloc(0);

  private constructor(server: Server, url: string) {
    this.#server = server;
    this.url = url;
  }

  static async start(): Promise<Issuer> {
    const server = createServer();
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const issuer = new Issuer(server, `http://127.0.0.1:${(server.address() as AddressInfo).port}`);
    server.on('request', (request, response) => {
      if (request.url === '/list.crl') {
        response.end(issuer.list);
        return;
      }
      if (request.url !== '/keys') {
        request.resume();
        issuer.unanswered++;
        return;
      }
      const key = { ...createPublicKey(issuer.#key).export({ format: 'jwk' }), kid: issuer.#keyId, use: 'sig', alg: 'ES256' };
      response.setHeader('content-type', 'application/json');
      response.end(JSON.stringify({ keys: [key] }));
    });
    return issuer;
  }

  async close(): Promise<void> {
    const closed = new Promise((resolve) => this.#server.close(resolve));
    this.#server.closeAllConnections();
    await closed;
  }

  /** Good for an hour, unless the claims say otherwise. */
  token(claims: Claims, { header, key = this.#key, signature }: Making = {}): string {
    const nowSec = Math.floor(Date.now() / 1000);
    const all = { iss: this.name, aud: this.audience, iat: nowSec, exp: nowSec + 3600, ...claims };
    const signed = `${part({ alg: 'ES256', typ: 'JWT', kid: this.#keyId, ...header })}.${part(all)}`;
    const made = sign('sha256', Buffer.from(signed), { key, dsaEncoding: 'ieee-p1363' }).toString('base64url');
    return `${signed}.${signature ?? made}`;
  }

  static strangersKey(): KeyObject {
    return newKey();
  }
}
