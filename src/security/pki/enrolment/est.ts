// Enrolment over secure transport (RFC 7030, with RFC 8951): what is asked for, by whom, and what comes back. It knows no socket: a
// request comes in whole, an answer goes out.

import { nameFault } from '../../../message/names.ts';
import type { Random } from '../../../base/random.ts';
import type { PeerCertificate } from '../../security.ts';
import type { IssuedCertificate, KeyAlgorithm, Pki } from '../pki.ts';
import type { HolderOf } from './certificate-holder.ts';
import { certsOnly } from './certs-only.ts';
import { csrAttributes } from './csr-attributes.ts';
import type { EnrolledWithKey, EnrolmentDesk, Holder } from './enrolment-desk.ts';
import { fault } from './enrolment.ts';
import type { EnrolmentFault, EnrolmentFaultCode, EnrolmentResult } from './enrolment.ts';
import { decodeBody, encodeBody } from './est-body.ts';
import { derOfRequest, readRequestFacts } from './request-facts.ts';

export type EstRequest = {
  readonly method: string;
  /** With the query, as it came. */
  readonly url: string;
  readonly contentType: string | undefined;
  readonly authorization: string | undefined;
  readonly body: Uint8Array;
  readonly listener: string;
  readonly remoteAddress: string;
  /** Verified by TLS. */
  readonly certificate: PeerCertificate | undefined;
};

export type EstAnswer = { readonly status: number; readonly headers: Readonly<Record<string, string>>; readonly body: string };

export type EstOptions = {
  /** Keys may be made here and sent to the device. */
  readonly serverKeyGeneration: boolean;
  /** The kind of key that devices are asked for. */
  readonly keyAlgorithm: KeyAlgorithm;
};

/** `random` marks where the parts of an answer end. */
export type EstServices = { readonly desk: EnrolmentDesk; readonly pki: Pki; readonly holderOf: HolderOf; readonly random: Random };

const root = '/.well-known/est/';
const certificateType = 'application/pkcs7-mime; smime-type=certs-only';

type Operation = 'cacerts' | 'csrattrs' | 'simpleenroll' | 'simplereenroll' | 'serverkeygen' | 'fullcmc';

/** RFC 7030 §3.2.2. */
const methods: ReadonlyMap<string, 'GET' | 'POST'> = new Map<Operation, 'GET' | 'POST'>([
  ['cacerts', 'GET'],
  ['csrattrs', 'GET'],
  ['simpleenroll', 'POST'],
  ['simplereenroll', 'POST'],
  ['serverkeygen', 'POST'],
  ['fullcmc', 'POST'],
]);

/** Who asks: by a token, or as somebody it already is. */
type Proof =
  | { readonly kind: 'token'; readonly tenant: string; readonly token: string; readonly device: string | undefined }
  | { readonly kind: 'holder'; readonly holder: Holder };

export class Est {
  readonly #services: EstServices;
  readonly #options: EstOptions;

  /** `options` may change in place. */
  constructor(services: EstServices, options: EstOptions) {
    this.#services = services;
    this.#options = options;
  }

  async answer(request: EstRequest): Promise<EstAnswer> {
    const place = placeOf(request.url);
    const method = place === undefined ? undefined : methods.get(place.operation);
    if (place === undefined || method === undefined)
      return words(404, `There are ${root}[tenant/] with ${[...methods.keys()].join(', ')}.`);
    const asked = request.method === 'HEAD' ? 'GET' : request.method;
    if (asked !== method) return words(405, `This is asked for by ${method}.`, { Allow: method });
    const operation = place.operation as Operation;
    if (operation === 'cacerts') return this.#authorities();
    // Who has no certificate yet asks too (RFC 7030 §4.5.1).
    if (operation === 'csrattrs') return answer('application/csrattrs', encodeBody(csrAttributes(this.#options.keyAlgorithm)));
    // RFC 7030 §4.3.1: a server that does not have it says so.
    if (operation === 'fullcmc') return words(501, 'Full CMC is not offered here.');
    if (operation === 'serverkeygen' && !this.#options.serverKeyGeneration) {
      return words(501, 'Keys are not made here (enrolment.serverKeyGeneration).');
    }
    return this.#enrol(operation, place.tenant, request);
  }

  /** Anybody may ask (RFC 7030 §4.1.1): the certificates are public. */
  #authorities(): EstAnswer {
    const own = this.#services.pki.authorities.filter(
      ({ role, status }) => role !== 'foreign' && (status === 'active' || status === 'retiring'),
    );
    if (own.length === 0) return words(503, 'There is no authority yet.', { 'Retry-After': '30' });
    const first = own.filter(({ role }) => role === 'root');
    const pem = [...first, ...own.filter(({ role }) => role !== 'root')].map(({ certificate }) => certificate).join('\n');
    return answer('application/pkcs7-mime', encodeBody(certsOnly(pem)));
  }

  async #enrol(operation: Operation, tenant: string | undefined, request: EstRequest): Promise<EstAnswer> {
    if (this.#services.desk.isBanned(request.remoteAddress)) {
      return words(429, 'Too many mistakes came from this address.', { 'Retry-After': '30' });
    }
    const proof = await this.#proofOf(operation, request);
    if (!proof.ok) return refused(proof.error);
    if (tenant !== undefined && tenant !== tenantOf(proof.value)) return words(403, 'This is another tenant’s place.');
    // RFC 7030 §4.2.1
    if (request.contentType?.split(';')[0]!.trim().toLowerCase() !== 'application/pkcs10') {
      return words(415, 'The body must be of type application/pkcs10.');
    }
    const body = decodeBody(request.body);
    if ('fault' in body) return words(400, body.fault);
    const { remoteAddress: from } = request;
    if (operation === 'serverkeygen') return this.#withNewKey(proof.value, body.der, from);
    const { desk } = this.#services;
    const issued = await this.#ask(proof.value, {
      token: (token, device) => desk.withToken({ token, device, request: body.der, from }),
      holder: (holder) => desk.again(holder, body.der, from),
    });
    if (!issued.ok) return refused(issued.error);
    // Only the certificate itself: its chain is asked for by cacerts (RFC 7030 §4.2.3).
    return answer(certificateType, encodeBody(certsOnly(issued.value.certificate)));
  }

  async #withNewKey(proof: Proof, request: Uint8Array, from: string): Promise<EstAnswer> {
    const { desk, random } = this.#services;
    const der = derOfRequest(request);
    // RFC 7030 §4.4.1: a key that must be sealed for the device must not be sent otherwise.
    if (der !== undefined && readRequestFacts(der)?.wantsSealedKey === true) {
      return words(400, 'Keys are only protected by TLS here: ask without DecryptKeyIdentifier.');
    }
    const issued = await this.#ask<EnrolledWithKey>(proof, {
      token: (token, device) => desk.withTokenAndNewKey({ token, device, request, from }),
      holder: (holder) => desk.againWithNewKey(holder, request, from),
    });
    if (!issued.ok) return refused(issued.error);
    const { privateKey, certificate } = issued.value;
    const boundary = Buffer.from(random.bytes(18)).toString('hex');
    const key = Buffer.from(privateKey.replaceAll(/-----[^-]+-----|\s/g, ''), 'base64');
    // RFC 7030 §4.4.2
    const parts = [part('application/pkcs8', key), part(certificateType, certsOnly(certificate))];
    const body = `${parts.map((each) => `--${boundary}\r\n${each}`).join('')}--${boundary}--\r\n`;
    return answer(`multipart/mixed; boundary=${boundary}`, body, false);
  }

  #ask<T extends IssuedCertificate>(
    proof: Proof,
    by: {
      readonly token: (token: string, device: string | undefined) => Promise<EnrolmentResult<T>>;
      readonly holder: (holder: Holder) => Promise<EnrolmentResult<T>>;
    },
  ): Promise<EnrolmentResult<T>> {
    return proof.kind === 'token' ? by.token(proof.token, proof.device) : by.holder(proof.holder);
  }

  /** A token that was given counts before a certificate: who has both means the token. A renewal is by certificate alone. */
  async #proofOf(operation: Operation, request: EstRequest): Promise<EnrolmentResult<Proof>> {
    const { authorization, certificate, listener, remoteAddress } = request;
    const isRenewal = operation === 'simplereenroll';
    if (authorization !== undefined && !isRenewal) {
      const { token, device } = credentialsOf(authorization);
      const known = await this.#services.desk.knows(token, remoteAddress);
      return known.ok ? { ok: true, value: { kind: 'token', tenant: known.value.tenant, token, device } } : known;
    }
    if (certificate === undefined) {
      const what = isRenewal ? 'renewing wants the certificate that is to be renewed' : 'a token or a certificate is needed';
      return fault(isRenewal ? 'wrong-certificate' : 'unknown-token', what);
    }
    const holder = await this.#services.holderOf({ certificate, listener, remoteAddress });
    if (!holder.ok) return holder;
    // A first certificate by one of the factory need not have its names.
    const { renews: _, ...others } = holder.value;
    return { ok: true, value: { kind: 'holder', holder: isRenewal ? holder.value : others } };
  }
}

function tenantOf(proof: Proof): string {
  return proof.kind === 'holder' ? proof.holder.tenant : proof.tenant;
}

/** `/.well-known/est/[label/]operation` (RFC 7030 §3.2.2); a label is a tenant. */
function placeOf(url: string): { readonly tenant: string | undefined; readonly operation: string } | undefined {
  const path = url.split('?')[0]!;
  if (!path.startsWith(root)) return undefined;
  const parts = path.slice(root.length).split('/');
  const operation = parts.at(-1)!;
  if (parts.length === 1) return { tenant: undefined, operation };
  const tenant = decoded(parts[0]!);
  // A label must not look like an operation.
  return parts.length > 2 || nameFault(tenant) !== undefined || methods.has(tenant) ? undefined : { tenant, operation };
}

const maxHeaderLength = 4096;

/** Basic: the user name is the device, the password the token; Bearer: the token, and the request names the device. */
function credentialsOf(authorization: string): { readonly token: string; readonly device: string | undefined } {
  const [, scheme = '', value = ''] = /^([a-z]+) +(\S+)$/i.exec(authorization.slice(0, maxHeaderLength)) ?? [];
  if (scheme.toLowerCase() === 'bearer') return { token: value, device: undefined };
  if (scheme.toLowerCase() !== 'basic') return { token: '', device: undefined };
  const pair = Buffer.from(value, 'base64').toString('utf8');
  const colon = pair.indexOf(':');
  if (colon === -1) return { token: '', device: undefined };
  return { token: pair.slice(colon + 1), device: colon === 0 ? undefined : pair.slice(0, colon) };
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return '';
  }
}

function part(type: string, content: Uint8Array): string {
  // The end of line before a delimiter is the delimiter's, and CRLF (RFC 2046 §5.1.1).
  return `Content-Type: ${type}\r\nContent-Transfer-Encoding: base64\r\n\r\n${encodeBody(content)}\r\n`;
}

/** RFC 8951 §3.1 makes the transfer encoding mean nothing; clients of before it look for it. */
function answer(type: string, body: string, isEncoded = true): EstAnswer {
  return { status: 200, headers: { 'Content-Type': type, ...(isEncoded ? { 'Content-Transfer-Encoding': 'base64' } : {}) }, body };
}

/** RFC 7030 §4.2.3: what went wrong, in words. */
function words(status: number, text: string, headers: Readonly<Record<string, string>> = {}): EstAnswer {
  return { status, headers: { 'Content-Type': 'text/plain; charset=utf-8', ...headers }, body: `${text}\n` };
}

const statuses: Readonly<Record<EnrolmentFaultCode, number>> = {
  malformed: 400,
  'bad-signature': 400,
  'weak-key': 400,
  'foreign-name': 400,
  'not-allowed': 400,
  invalid: 400,
  'unknown-token': 401,
  'token-disabled': 403,
  'token-expired': 403,
  'token-used-up': 403,
  'wrong-device': 403,
  'already-enrolled': 403,
  'wrong-certificate': 403,
  'unknown-owner': 403,
  disabled: 403,
  'not-enabled': 403,
  'not-found': 404,
  'too-large': 413,
  'rate-limited': 429,
  busy: 503,
  unavailable: 503,
};

function refused({ code, message, field, retryAfterMs }: EnrolmentFault): EstAnswer {
  const status = statuses[code];
  const headers: Record<string, string> = {};
  // RFC 7030 §3.2.3
  if (status === 401) headers['WWW-Authenticate'] = 'Basic realm="enrolment", charset="UTF-8"';
  if (retryAfterMs !== undefined) headers['Retry-After'] = String(Math.max(1, Math.ceil(retryAfterMs / 1000)));
  const sentence = message.charAt(0).toUpperCase() + message.slice(1);
  return words(status, `${sentence}${field === undefined ? '' : ` (${field})`}.`, headers);
}
