// EST over CoAP (RFC 9148): `/.well-known/est/[tenant/]` with crts, att, sen, sren, skg and skc. Paths, formats and codes; who may
// have which certificate is for the desk to say. Large bodies come and go in blocks, of which nothing is known here.

import type { EnrolmentFault, EnrolmentFaultCode } from '../../../security/pki/enrolment/enrolment.ts';
import type { EstCertificates, EstDoor, EstQuestion } from '../../../security/pki/enrolment/est-door.ts';
import type { Log } from '../../../base/log.ts';
import {
  Code,
  type CoapOption,
  FormatNumber,
  noBytes,
  OptionNumber,
  optionValue,
  pathSegments,
  textBytes,
  uintOption,
  uintValue,
} from '../codec/index.ts';
import type { CoapRequest, CoapResponse, Reply, RequestHandler } from '../exchange.ts';

/** RFC 9148 §4.1: the short names are the only ones over CoAP. */
const operations = {
  crts: Code.get,
  att: Code.get,
  sen: Code.post,
  sren: Code.post,
  skg: Code.post,
  skc: Code.post,
} as const;
type Operation = keyof typeof operations;

/** RFC 9148 §4.1: ace.est.* says what each is. */
export const estLinks = Object.keys(operations)
  .map((name) => `</.well-known/est/${name}>;rt="ace.est.${name}"`)
  .join(',');

export const estPath: readonly string[] = ['.well-known', 'est'];

/** RFC 8710. */
const multipart = 62;
const defaultRetryMs = 30_000;

export class EstResource implements RequestHandler {
  readonly #door: EstDoor;
  readonly #log: Log;

  constructor(door: EstDoor, log: Log) {
    this.#door = door;
    this.#log = log;
  }

  handle(request: CoapRequest, reply: Reply): void {
    const answer = this.#answer(request);
    if (!(answer instanceof Promise)) return reply.send(answer);
    answer.then(
      (response) => reply.send(response),
      (error: unknown) => {
        this.#log.error('coap.est.failed', { error: (error as Error).stack });
        reply.send(plain(Code.internalServerError));
      },
    );
  }

  #answer(request: CoapRequest): CoapResponse | Promise<CoapResponse> {
    const { message, peer, oscore } = request;
    const place = placeOf(message.options);
    if (place === undefined) return words(Code.notFound, `there are ${Object.keys(operations).join(', ')}`);
    // RFC 9148 §3: over DTLS (or TLS), and by certificates.
    if (!peer.facts.secure || oscore !== undefined) return words(Code.forbidden, 'enrolment wants coaps');
    const { operation, tenant } = place;
    if (message.code !== operations[operation]) return plain(Code.methodNotAllowed);
    const wanted = optionValue(message.options, OptionNumber.accept);
    const accept = wanted && uintValue(wanted);
    if (operation === 'crts') return this.#authorities(accept);
    if (operation === 'att') {
      if (accept !== undefined && accept !== FormatNumber.csrAttributes) return plain(Code.notAcceptable);
      return content(Code.content, FormatNumber.csrAttributes, this.#door.attributes());
    }
    // RFC 9148 §4.3: told before anything is spent.
    if (!isAcceptable(operation, accept)) return plain(Code.notAcceptable);
    const format = optionValue(message.options, OptionNumber.contentFormat);
    if (format === undefined || uintValue(format) !== FormatNumber.pkcs10) return plain(Code.unsupportedContentFormat);
    const { listener, remoteAddress, peerCertificate: certificate } = peer.facts;
    return this.#enrol(operation, accept, {
      operation: operation === 'sren' ? 'renew' : 'enrol',
      request: message.payload,
      tenant,
      asker: { listener, remoteAddress, certificate },
    });
  }

  /** RFC 9148 §4.3: a single certificate only to who asks for it. */
  #authorities(accept: number | undefined): CoapResponse {
    const known = this.#door.authorities();
    if (known === undefined) return later('there is no authority yet', defaultRetryMs);
    return certificates(Code.content, known, accept);
  }

  async #enrol(operation: Operation, accept: number | undefined, question: EstQuestion): Promise<CoapResponse> {
    if (operation === 'sen' || operation === 'sren') {
      const issued = await this.#door.enrol(question);
      return issued.ok ? certificates(Code.changed, issued.value, accept) : refused(issued.error);
    }
    if (!this.#door.makesKeys) return words(Code.notImplemented, 'keys are not made here');
    const made = await this.#door.enrolWithNewKey(question);
    if (!made.ok) return refused(made.error);
    const { privateKey, certsOnly, single } = made.value;
    // RFC 9148 §4.8: skg brings PKCS #7, skc the certificate itself.
    const second =
      operation === 'skg'
        ? { format: FormatNumber.pkcs7Certificates, bytes: certsOnly }
        : { format: FormatNumber.pkixCertificate, bytes: single! };
    const body = multipartCore([{ format: FormatNumber.pkcs8, bytes: privateKey }, second]);
    return content(Code.changed, multipart, body);
  }
}

function isAcceptable(operation: Operation, accept: number | undefined): boolean {
  if (accept === undefined) return true;
  if (operation === 'skg' || operation === 'skc') return accept === multipart;
  return accept === FormatNumber.pkcs7Certificates || accept === FormatNumber.pkixCertificate;
}

function certificates(code: number, { certsOnly, single }: EstCertificates, accept: number | undefined): CoapResponse {
  if (accept === undefined || accept === FormatNumber.pkcs7Certificates) return content(code, FormatNumber.pkcs7Certificates, certsOnly);
  if (accept !== FormatNumber.pkixCertificate || single === undefined) return plain(Code.notAcceptable);
  return content(code, FormatNumber.pkixCertificate, single);
}

/** `/.well-known/est/[label/]operation`: a label is a tenant (RFC 7030 §3.2.2). */
function placeOf(options: readonly CoapOption[]): { readonly operation: Operation; readonly tenant: string | undefined } | undefined {
  const segments = pathSegments(options)?.slice(estPath.length);
  if (segments === undefined || segments.length === 0 || segments.length > 2) return undefined;
  const operation = segments.at(-1)!;
  const tenant = segments.length === 2 ? segments[0] : undefined;
  if (!Object.hasOwn(operations, operation) || (tenant !== undefined && Object.hasOwn(operations, tenant))) return undefined;
  return { operation: operation as Operation, tenant };
}

/** RFC 8710 §2: an array in CBOR of formats and contents in turn. */
function multipartCore(parts: readonly { readonly format: number; readonly bytes: Uint8Array }[]): Uint8Array {
  const pieces = parts.flatMap(({ format, bytes }) => [cborHead(0x00, format), cborHead(0x40, bytes.length), bytes]);
  const body = new Uint8Array(1 + pieces.reduce((sum, { length }) => sum + length, 0));
  body[0] = 0x80 | (2 * parts.length);
  let at = 1;
  for (const piece of pieces) {
    body.set(piece, at);
    at += piece.length;
  }
  return body;
}

/** `value` below 65,536. */
function cborHead(major: number, value: number): Uint8Array {
  if (value < 24) return Uint8Array.of(major | value);
  return value < 256 ? Uint8Array.of(major | 24, value) : Uint8Array.of(major | 25, value >>> 8, value & 0xff);
}

function content(code: number, format: number, payload: Uint8Array): CoapResponse {
  return { code, options: [uintOption(OptionNumber.contentFormat, format)], payload };
}

function plain(code: number): CoapResponse {
  return { code, options: [], payload: noBytes };
}

function words(code: number, text: string): CoapResponse {
  return { code, options: [], payload: textBytes(text) };
}

/** RFC 9148 §4.7: when to ask again is told by Max-Age. */
function later(text: string, retryMs: number, code: number = Code.serviceUnavailable): CoapResponse {
  return { code, options: [uintOption(OptionNumber.maxAge, Math.max(1, Math.ceil(retryMs / 1000)))], payload: textBytes(text) };
}

const codes: Readonly<Record<EnrolmentFaultCode, number>> = {
  malformed: Code.badRequest,
  'bad-signature': Code.badRequest,
  'weak-key': Code.badRequest,
  'foreign-name': Code.badRequest,
  'not-allowed': Code.badRequest,
  invalid: Code.badRequest,
  'unknown-token': Code.unauthorized,
  'token-disabled': Code.forbidden,
  'token-expired': Code.forbidden,
  'token-used-up': Code.forbidden,
  'wrong-device': Code.forbidden,
  'already-enrolled': Code.forbidden,
  'wrong-certificate': Code.forbidden,
  'unknown-owner': Code.forbidden,
  disabled: Code.forbidden,
  'not-enabled': Code.forbidden,
  'not-found': Code.notFound,
  'too-large': Code.requestEntityTooLarge,
  'rate-limited': Code.tooManyRequests,
  busy: Code.serviceUnavailable,
  unavailable: Code.serviceUnavailable,
};

function refused({ code, message, field, retryAfterMs }: EnrolmentFault): CoapResponse {
  const text = field === undefined ? message : `${message} (${field})`;
  const answered = codes[code];
  const isLater = answered === Code.serviceUnavailable || answered === Code.tooManyRequests;
  return isLater ? later(text, retryAfterMs ?? defaultRetryMs, answered) : words(answered, text);
}
