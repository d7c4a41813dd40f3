// EST for protocols that carry it in binary: the same rules and limits as over HTTPS (est.ts), but for tokens, which have no place in
// EST over CoAP (RFC 9148 §3): who asks shows a certificate.

import type { EstOptions } from './est.ts';
import type { Pki } from '../pki.ts';
import type { HolderOf } from './certificate-holder.ts';
import { certsOnly } from './certs-only.ts';
import { csrAttributes } from './csr-attributes.ts';
import type { EnrolmentDesk, Holder } from './enrolment-desk.ts';
import { done, fault, type EnrolmentResult } from './enrolment.ts';
import type { EstCertificates, EstCertificatesWithKey, EstDoor, EstQuestion } from './est-door.ts';
import { derOfRequest, readRequestFacts } from './request-facts.ts';

export type EstDeskServices = { readonly desk: EnrolmentDesk; readonly pki: Pki; readonly holderOf: HolderOf };

const bannedForMs = 30_000;

export class EstDesk implements EstDoor {
  readonly #services: EstDeskServices;
  readonly #options: EstOptions;

  /** `options` may change in place. */
  constructor(services: EstDeskServices, options: EstOptions) {
    this.#services = services;
    this.#options = options;
  }

  get makesKeys(): boolean {
    return this.#options.serverKeyGeneration;
  }

  attributes(): Uint8Array {
    return csrAttributes(this.#options.keyAlgorithm);
  }

  authorities(): EstCertificates | undefined {
    const trusted = this.#services.pki.authorities.filter(
      ({ role, status }) => role !== 'foreign' && (status === 'active' || status === 'retiring'),
    );
    if (trusted.length === 0) return undefined;
    const roots = trusted.filter(({ role }) => role === 'root');
    const ordered = [...roots, ...trusted.filter(({ role }) => role !== 'root')].map(({ certificate }) => certificate);
    return { certsOnly: certsOnly(ordered.join('\n')), single: ordered.length === 1 ? derOf(ordered[0]!) : undefined };
  }

  async enrol(question: EstQuestion): Promise<EnrolmentResult<EstCertificates>> {
    const holder = await this.#holderOf(question);
    if (!holder.ok) return holder;
    const issued = await this.#services.desk.again(holder.value, question.request, question.asker.remoteAddress);
    return issued.ok ? done(inBinary(issued.value.certificate)) : issued;
  }

  async enrolWithNewKey(question: EstQuestion): Promise<EnrolmentResult<EstCertificatesWithKey>> {
    const holder = await this.#holderOf(question);
    if (!holder.ok) return holder;
    const { request, asker } = question;
    const der = derOfRequest(request);
    // RFC 7030 §4.4.1: a key that must be sealed for the device must not be sent otherwise.
    if (der !== undefined && readRequestFacts(der)?.wantsSealedKey === true) {
      return fault('invalid', 'keys are only protected by the session here: ask without DecryptKeyIdentifier');
    }
    const issued = await this.#services.desk.againWithNewKey(holder.value, request, asker.remoteAddress);
    if (!issued.ok) return issued;
    const { certificate, privateKey } = issued.value;
    return done({ ...inBinary(certificate), privateKey: derOf(privateKey) });
  }

  async #holderOf({ operation, tenant, asker }: EstQuestion): Promise<EnrolmentResult<Holder>> {
    const { certificate, listener, remoteAddress } = asker;
    if (this.#services.desk.isBanned(remoteAddress)) {
      return fault('rate-limited', 'too many mistakes came from this address', { retryAfterMs: bannedForMs });
    }
    if (certificate === undefined) return fault('wrong-certificate', 'a certificate is needed');
    const holder = await this.#services.holderOf({ certificate, listener, remoteAddress });
    if (!holder.ok) return holder;
    if (tenant !== undefined && tenant !== holder.value.tenant) return fault('wrong-certificate', 'this is another tenant’s place');
    // A first certificate by one of the factory need not have its names.
    const { renews: _, ...others } = holder.value;
    return done(operation === 'renew' ? holder.value : others);
  }
}

function inBinary(pem: string): EstCertificates {
  return { certsOnly: certsOnly(pem), single: derOf(pem) };
}

/** The first block of `pem`. */
function derOf(pem: string): Uint8Array {
  const [, base64 = ''] = /-----BEGIN [^-]+-----([^-]+)-----END/.exec(pem) ?? [];
  return Buffer.from(base64, 'base64');
}
