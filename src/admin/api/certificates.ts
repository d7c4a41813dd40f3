// Certificates: what was issued, to whom, and what is revoked.

import { Type } from 'typebox';
import { revocationReasons, type OwnerKind } from '../../registry/entries.ts';
import type { Write } from '../../registry/registry.ts';
import { keyAlgorithms } from '../../security/pki/pki.ts';
import { actingForbidden } from './grants.ts';
import { noNode, notFound, pkiProblem, Problem, registryProblem } from './problem.ts';
import { created, ok, route, type Call, type RouteSpec } from './route.ts';
import { choice, head, id, moment, object, pageOf, pageQuery } from './schemas.ts';
import { owner } from './tokens.ts';

const fingerprint = Type.String({ pattern: '^[0-9a-f]{64}$', description: 'SHA-256 of the DER, lower-case hex.' });
const params = object({ id: fingerprint });

const certificate = object({
  ...head,
  id: fingerprint,
  owner: Type.Optional(owner),
  serial: Type.String(),
  issuer: Type.String({ description: 'Id of the authority.' }),
  subject: Type.String(),
  notBeforeMs: moment('When it begins.'),
  notAfterMs: moment('When it ends.'),
  status: choice(['valid', 'revoked'], 'Whether it was revoked.'),
  revokedAtMs: Type.Optional(moment('When it was revoked.')),
  reason: Type.Optional(choice([...revocationReasons], 'RFC 5280 §5.3.1.')),
});

const list = route({
  method: 'GET',
  path: '/certificates',
  operation: 'listCertificates',
  summary: 'Certificates, in the order of their fingerprints',
  permission: 'certificates:read',
  scope: 'tenant',
  query: object({
    ...pageQuery,
    status: Type.Optional(choice(['valid', 'revoked'], 'Only these.')),
    ownerKind: Type.Optional(choice(['device', 'application', 'user'], 'With ownerId: only those of this owner.')),
    ownerId: Type.Optional(id),
  }),
  answers: { 200: pageOf(certificate, 'A page of certificates.') },
  async handle({ query: { ownerKind, ownerId, ...query } }, { tenant, services }) {
    if ((ownerKind === undefined) !== (ownerId === undefined)) {
      return new Problem(422, 'invalid', 'ownerKind and ownerId go together', { field: 'ownerKind' });
    }
    const whose = ownerKind === undefined ? undefined : { kind: ownerKind, id: ownerId! };
    const page = await services.registry.list('certificate', tenant, { ...query, owner: whose });
    return page.ok ? ok(page.value) : registryProblem(page.error);
  },
});

const get = route({
  method: 'GET',
  path: '/certificates/{id}',
  operation: 'getCertificate',
  summary: 'One certificate',
  permission: 'certificates:read',
  scope: 'tenant',
  params,
  answers: { 200: { description: 'What is known of it.', schema: certificate } },
  async handle(input, { tenant, services }) {
    const found = await services.registry.get('certificate', tenant, input.params.id);
    if (!found.ok) return registryProblem(found.error);
    return found.value === undefined ? notFound(`certificate ${input.params.id}`) : ok(found.value, found.value.version);
  },
});

/** Who holds the key of a certificate is its owner, with all that the owner may. */
async function ownerFault(call: Call, kind: OwnerKind, name: string): Promise<Problem | undefined> {
  const found = await call.services.registry.get(kind, call.tenant, name);
  if (!found.ok) return registryProblem(found.error);
  if (found.value === undefined) return notFound(`${kind} ${call.tenant}/${name}`);
  return actingForbidden(kind, found.value, call);
}

const pem = (description: string) => Type.String({ description: `${description} PEM.` });
const issued = object({
  certificate: pem('The certificate.'),
  chain: pem('The authorities below the root, nearest first: what a peer sends behind its own.'),
  root: pem('What a peer trusts.'),
  privateKey: Type.Optional(pem('Only of a key that was made here; it is kept nowhere. PKCS #8.')),
  fingerprint,
  serial: Type.String(),
  notBeforeMs: moment('When it begins.'),
  notAfterMs: moment('When it ends.'),
});

const issue = route({
  method: 'POST',
  path: '/certificates',
  operation: 'issueCertificate',
  summary: 'Issue a certificate to a device, an application or a user',
  description: 'For the key of a certificate request (PKCS #10), or for a new key, whose only copy is in the answer.',
  permission: 'certificates:write',
  scope: 'tenant',
  body: object({
    owner,
    request: Type.Optional(Type.String({ minLength: 1, maxLength: 65_536, description: 'PKCS #10, PEM. Absent: a new key is made.' })),
    algorithm: Type.Optional(choice([...keyAlgorithms], 'Of a new key.')),
    validityMs: Type.Optional(Type.Integer({ minimum: 60_000, maximum: 3.2e11, description: 'Shortened to what the profile allows.' })),
  }),
  answers: { 201: { description: 'The certificate.', schema: issued } },
  audit: { action: 'certificate.issue', target: ({ body }, tenant) => `${body.owner.kind}/${tenant}/${body.owner.id}`, byCallee: true },
  async handle({ body: { owner: whose, request, algorithm, validityMs } }, call) {
    const { tenant, services, caller, from } = call;
    const pki = services.pki?.();
    if (pki === undefined) return noNode;
    const fault = await ownerFault(call, whose.kind, whose.id);
    if (fault !== undefined) return fault;
    const common = { tenant, owner: whose, actor: caller.actor, from, ...(validityMs !== undefined && { validityMs }) };
    if (request !== undefined && algorithm !== undefined) {
      return new Problem(422, 'invalid', 'a request has its key already', { field: 'algorithm' });
    }
    const result =
      request === undefined
        ? await pki.issueWithKey({ ...common, ...(algorithm !== undefined && { algorithm }) })
        : await pki.issue({ ...common, request });
    if (!result.ok) return pkiProblem(result.error);
    return created(result.value, `/certificates/${result.value.fingerprint}`);
  },
});

const revoke = route({
  method: 'POST',
  path: '/certificates/{id}/revoke',
  operation: 'revokeCertificate',
  summary: 'Revoke a certificate: who shows it is kept out, and cut off where it is connected',
  permission: 'certificates:write',
  scope: 'tenant',
  params,
  body: object({ reason: Type.Optional(choice([...revocationReasons], 'RFC 5280 §5.3.1; `certificateHold` can be taken back.')) }),
  answers: { 200: { description: 'As it is now.', schema: certificate } },
  audit: { action: 'certificate.revoke', target: (input, tenant) => `certificate/${tenant}/${input.params.id}` },
  async handle(input, { tenant, services, ifMatch }) {
    const reason = input.body.reason ?? 'unspecified';
    const changed = await services.registry.update('certificate', tenant, input.params.id, { status: 'revoked', reason }, ifMatch);
    if (!changed.ok) return registryProblem(changed.error);
    return { ...ok(changed.value, changed.value.version), details: { reason } };
  },
});

const release = route({
  method: 'POST',
  path: '/certificates/{id}/release',
  operation: 'releaseCertificate',
  summary: 'Take back a revocation that was a hold',
  permission: 'certificates:write',
  scope: 'tenant',
  params,
  answers: { 200: { description: 'As it is now.', schema: certificate } },
  audit: { action: 'certificate.release', target: (input, tenant) => `certificate/${tenant}/${input.params.id}` },
  async handle(input, { tenant, services, ifMatch }) {
    const changed = await services.registry.update('certificate', tenant, input.params.id, { status: 'valid' }, ifMatch);
    return changed.ok ? ok(changed.value, changed.value.version) : registryProblem(changed.error);
  },
});

const revokeAll = route({
  method: 'POST',
  path: '/certificates:revoke',
  operation: 'revokeCertificates',
  summary: 'Revoke every valid certificate of an owner',
  permission: 'certificates:write',
  scope: 'tenant',
  body: object({ owner, reason: Type.Optional(choice([...revocationReasons], 'RFC 5280 §5.3.1.')) }),
  answers: { 200: { description: 'How many there were.', schema: object({ revoked: Type.Integer() }) } },
  audit: { action: 'certificate.revoke', target: ({ body }, tenant) => `${body.owner.kind}/${tenant}/${body.owner.id}` },
  async handle({ body: { owner: whose, reason = 'unspecified' } }, { tenant, services: { registry } }) {
    let revoked = 0;
    let after: string | undefined;
    do {
      const page = await registry.list('certificate', tenant, { owner: whose, status: 'valid', after });
      if (!page.ok) return registryProblem(page.error);
      const fields = { status: 'revoked', reason } as const;
      const writes = page.value.entries.map((entry): Write => ({ do: 'update', kind: 'certificate', tenant, id: entry.id, fields }));
      const applied = writes.length === 0 ? undefined : await registry.apply(writes, { atomic: true });
      if (applied?.ok === false) return registryProblem(applied.error);
      revoked += writes.length;
      after = page.value.next;
    } while (after !== undefined);
    return { ...ok({ revoked }), details: { revoked, reason } };
  },
});

export const certificateRoutes: readonly RouteSpec[] = [list, get, issue, revoke, revokeAll, release];
