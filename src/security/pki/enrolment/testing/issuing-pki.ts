// An authority for tests that issues what it is asked for, registers it as the real one does, and fails when told.

import { principalUri } from '../../../peer-certificate.ts';
import type { Registry } from '../../../../registry/registry.ts';
import type { Owner } from '../../../../registry/entries.ts';
import { readDer, tags, wholeOf } from '../../der/der-reader.ts';
import type { IssuedCertificate, IssueFaultCode, IssueRequest, IssueWithKeyRequest, Pki, PkiResult } from '../../pki.ts';
import { type Made, madeRoot, TestSigner } from '../../testing/made-certificates.ts';
import { fieldsOf } from '../../testing/opened-registry.ts';
import { TestPki } from '../../testing/test-pki.ts';

const dayMs = 86_400_000;

export class IssuingPki extends TestPki implements Pki {
  readonly root: Made = madeRoot('Test root');
  readonly auditKey = undefined;
  readonly requests: (IssueRequest | IssueWithKeyRequest)[] = [];
  /** What the next question is refused with, once. */
  fault: IssueFaultCode | undefined;
  /** Awaited before anything is issued. */
  gate: Promise<void> = Promise.resolve();
  readonly #registry: Registry;
  readonly #nowMs: () => number;

  constructor(registry: Registry, nowMs: () => number) {
    super();
    this.#registry = registry;
    this.#nowMs = nowMs;
    this.add(this.root, { role: 'root' });
  }

  async issue(asked: IssueRequest): Promise<PkiResult<IssuedCertificate>> {
    const publicKey = publicKeyOf(asked.request as Uint8Array);
    if (publicKey === undefined) return { ok: false, error: { code: 'malformed', message: 'no request' } };
    // Only its public key is used.
    return this.#issue(asked, Object.assign(new TestSigner(), { publicKey }));
  }

  async issueWithKey(asked: IssueWithKeyRequest): Promise<PkiResult<IssuedCertificate & { readonly privateKey: string }>> {
    const signer = new TestSigner();
    const issued = await this.#issue(asked, signer);
    const privateKey = signer.key.export({ type: 'pkcs8', format: 'pem' }) as string;
    return issued.ok ? { ok: true, value: { ...issued.value, privateKey } } : issued;
  }

  async #issue(
    asked: { tenant: string; owner: Owner } & (IssueRequest | IssueWithKeyRequest),
    signer: TestSigner,
  ): Promise<PkiResult<IssuedCertificate>> {
    this.requests.push(asked);
    await this.gate;
    const { fault } = this;
    this.fault = undefined;
    if (fault !== undefined) return { ok: false, error: { code: fault, message: `the test wants ${fault}` } };
    const { tenant, owner } = asked;
    const now = this.#nowMs();
    const choices = { uris: [principalUri(tenant, owner.id)], notBeforeMs: now - dayMs, notAfterMs: now + dayMs };
    const made = this.root.issue(owner.id, choices, signer);
    const kept = await this.#registry.create('certificate', tenant, made.fingerprint, { ...fieldsOf(made), owner });
    if (!kept.ok) return { ok: false, error: { code: 'unknown-owner', message: kept.error.message } };
    const { serial, notBeforeMs, notAfterMs } = made.facts;
    const { fingerprint } = made;
    return { ok: true, value: { certificate: made.pem, chain: '', root: this.root.pem, fingerprint, serial, notBeforeMs, notAfterMs } };
  }
}

function publicKeyOf(request: Uint8Array): Uint8Array | undefined {
  return readDer(request, (reader) => {
    const outer = reader.enter(tags.sequence);
    const info = outer.enter(tags.sequence);
    outer.take();
    outer.take();
    info.take(tags.integer);
    info.take(tags.sequence);
    const key = Buffer.from(wholeOf(info.take(tags.sequence)));
    info.take();
    return key;
  });
}
