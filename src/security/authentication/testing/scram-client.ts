// The client's side of SCRAM-SHA-256 (RFC 5802), for tests.

import { pbkdf2Sync, timingSafeEqual } from 'node:crypto';
import { hmac, sha256 } from '../scram-credential.ts';
import { escaped } from '../scram-messages.ts';

export class ScramClient {
  readonly #username: string;
  readonly #password: string;
  readonly #nonce: string;
  readonly #header: string;
  #serverSignature: Buffer | undefined;

  constructor(username: string, password: string, nonce = 'rOprNGfwEbeRWgbNEkqO', header = 'n,,') {
    this.#username = username;
    this.#password = password;
    this.#nonce = nonce;
    this.#header = header;
  }

  get #bare(): string {
    return `n=${escaped(this.#username)},r=${this.#nonce}`;
  }

  first(): Buffer {
    return Buffer.from(this.#header + this.#bare);
  }

  /** The answer to the server's first message; `changes` replaces parts of it, for who is not honest. */
  final(serverFirst: Uint8Array, changes: { readonly nonce?: string; readonly binding?: string } = {}): Buffer {
    const said = Buffer.from(serverFirst).toString();
    const parts = Object.fromEntries(said.split(',').map((part) => [part[0], part.slice(2)]));
    const salted = pbkdf2Sync(this.#password, Buffer.from(parts['s']!, 'base64'), Number(parts['i']), 32, 'sha256');
    const clientKey = hmac(salted, 'Client Key');
    const binding = changes.binding ?? Buffer.from(this.#header).toString('base64');
    const withoutProof = `c=${binding},r=${changes.nonce ?? parts['r']}`;
    const message = `${this.#bare},${said},${withoutProof}`;
    const signature = hmac(sha256(clientKey), message);
    this.#serverSignature = hmac(hmac(salted, 'Server Key'), message);
    return Buffer.from(`${withoutProof},p=${Buffer.from(clientKey.map((byte, i) => byte ^ signature[i]!)).toString('base64')}`);
  }

  /** Whether the server has proved that it knows the credential. */
  trusts(serverFinal: Uint8Array | undefined): boolean {
    const said = Buffer.from(serverFinal ?? []).toString();
    const shown = Buffer.from(said.slice(2), 'base64');
    const own = this.#serverSignature;
    return said.startsWith('v=') && own !== undefined && shown.length === own.length && timingSafeEqual(shown, own);
  }
}
