// Certificate authorities: own ones, and foreign ones that are trusted here. What changes one wants a second person where duties are
// separated.

import { Type } from 'typebox';
import { systemScope } from '../../registry/entries.ts';
import type { CaFault, CaFaultCode, CaManagement, CaResult, By } from '../../security/pki/ca-management.ts';
import { keyAlgorithms } from '../../security/pki/pki.ts';
import { grantForbidden, newDeviceForbidden } from './grants.ts';
import { noNode, notFound, Problem } from './problem.ts';
import { created, ok, route, type Answer, type Call, type RouteSpec } from './route.ts';
import { choice, maxIdLength, moment, object, pageQuery } from './schemas.ts';

const authorityId = Type.String({ pattern: '^[0-9a-f]{64}$', description: 'SHA-256 of its public key, lower-case hex.' });
const params = object({ id: authorityId });

const authority = object({
  id: authorityId,
  tenant: Type.String({ description: `\`${systemScope}\` for own ones.` }),
  role: choice(['root', 'issuing', 'foreign'], 'root: signs authorities only. issuing: signs peers. foreign: of somebody else.'),
  status: choice(['pending', 'active', 'retiring', 'retired'], 'retiring: trusted, issues no more.'),
  certificate: Type.String({ description: 'PEM.' }),
  subject: Type.String(),
  issuer: Type.Optional(Type.String({ description: 'Id of the authority that signed it; absent: itself, or an unknown one.' })),
  notBeforeMs: moment('When it begins.'),
  notAfterMs: moment('When it ends.'),
  hasKey: Type.Boolean({ description: 'This node can sign with it now.' }),
});

const algorithm = Type.Optional(choice([...keyAlgorithms], 'Of the new keys.'));
const what = choice(['issuing', 'root'], 'root: a new root, and a new issuing authority below it.');

const statuses: Readonly<Record<CaFaultCode, number>> = {
  'not-found': 404,
  exists: 409,
  invalid: 422,
  'wrong-passphrase': 422,
  'not-proved': 422,
  'in-use': 409,
  conflict: 409,
  unavailable: 503,
};

function caProblem({ code, message, field }: CaFault): Problem {
  return new Problem(statuses[code], code, message, field === undefined ? {} : { field });
}

/** Asks the authority, if there is one here. */
async function asked<T>(
  { services, caller, from }: Call,
  question: (ca: CaManagement, by: By) => Promise<CaResult<T>>,
  answer: (value: T) => Answer = ok,
): Promise<Answer | Problem> {
  const ca = services.ca?.();
  if (ca === undefined) return noNode;
  const result = await question(ca, { actor: caller.actor, from });
  return result.ok ? answer(result.value) : caProblem(result.error);
}

/** Own ones are everybody's to see; foreign ones their tenant's. */
const list = route({
  method: 'GET',
  path: '/authorities',
  operation: 'listAuthorities',
  summary: 'Certificate authorities: own ones, and the foreign ones of the tenant',
  permission: 'authorities:read',
  scope: 'tenant',
  answers: {
    200: {
      description: 'All of them, and which are active.',
      schema: object({
        entries: Type.Array(authority),
        activeRoot: Type.Optional(authorityId),
        activeIssuing: Type.Optional(authorityId),
        protection: choice(['passphrase', 'key file', 'hsm'], 'What opens the keys on this node.'),
        auditKey: Type.Optional(object({ fingerprint: Type.String(), notAfterMs: moment('When its certificate ends.') })),
        trustFile: Type.String({ description: 'PEM file of the roots that clients trust, on the machine of the node.' }),
      }),
    },
  },
  handle(_input, { services, tenant }) {
    const status = services.ca?.()?.status();
    if (status === undefined) return noNode;
    const { authorities, ...rest } = status;
    return ok({ entries: authorities.filter((each) => each.tenant === systemScope || each.tenant === tenant), ...rest });
  },
});

const get = route({
  method: 'GET',
  path: '/authorities/{id}',
  operation: 'getAuthority',
  summary: 'One certificate authority',
  permission: 'authorities:read',
  scope: 'tenant',
  params,
  answers: { 200: { description: 'What is known of it.', schema: authority } },
  handle(input, { services, tenant }) {
    const status = services.ca?.()?.status();
    if (status === undefined) return noNode;
    const { id } = input.params;
    const found = status.authorities.find((each) => each.id === id && (each.tenant === systemScope || each.tenant === tenant));
    return found === undefined ? notFound(`authority ${id}`) : ok(found);
  },
});

const anything = (description: string) => ({ description, schema: Type.Record(Type.String(), Type.Unknown()) });
const own = { permission: 'authorities:write', scope: 'node' } as const;

const init = route({
  ...own,
  method: 'POST',
  path: '/authorities:init',
  operation: 'initAuthorities',
  summary: 'Make root, issuing authority and audit key where there are none',
  body: object({ algorithm }),
  answers: { 200: anything('The state of the authorities.') },
  audit: { action: 'authority.init', target: () => 'authority', byCallee: true },
  duty: { summary: () => 'Make the certificate authority' },
  handle: ({ body }, call) => asked(call, (ca, by) => ca.init(body as never, by)),
});

const impact = route({
  method: 'GET',
  path: '/authorities:impact',
  operation: 'getImpact',
  summary: 'Who would be cut off if what is active now, or one authority, were rotated and retired',
  permission: 'authorities:read',
  scope: 'node',
  query: object({ ...pageQuery, what: Type.Optional(what), id: Type.Optional(authorityId) }),
  answers: { 200: anything('Counts, and a page of those who would be cut off.') },
  handle({ query: { what: of, id, ...page } }, call) {
    if ((of === undefined) === (id === undefined)) return new Problem(422, 'invalid', 'name one of what and id', { field: 'what' });
    return asked(call, (ca) => ca.impact(id === undefined ? { what: of! } : { id }, page as never));
  },
});

const rotate = route({
  ...own,
  method: 'POST',
  path: '/authorities:rotate',
  operation: 'rotateAuthority',
  summary: 'A new issuing authority, or a new root with one; the old ones stay trusted until they are retired',
  body: object({
    what,
    algorithm,
    dryRun: Type.Optional(Type.Boolean({ description: 'true: only tell who would be cut off when the old one is retired.' })),
  }),
  answers: { 200: anything('What is active and what is retiring; of a dry run, who would be cut off.') },
  audit: { action: 'authority.rotate', target: ({ body }) => `authority/${body.what}`, byCallee: true },
  duty: { applies: ({ body }) => body.dryRun !== true, summary: ({ body }) => `Rotate the ${body.what} authority` },
  handle({ body: { dryRun, ...options } }, call) {
    if (dryRun === true) return asked(call, (ca) => ca.impact({ what: options.what }, {}));
    return asked(call, (ca, by) => ca.rotate(options as never, by));
  },
});

const retire = route({
  ...own,
  method: 'POST',
  path: '/authorities/{id}/retire',
  operation: 'retireAuthority',
  summary: 'End the trust in an authority, own or foreign, and in those below it',
  params,
  body: object({ force: Type.Optional(Type.Boolean({ description: 'true: even if somebody is cut off.' })) }),
  answers: { 200: { description: 'Those that are retired.', schema: object({ retired: Type.Array(authorityId) }) } },
  audit: { action: 'authority.retire', target: (input) => `authority/${input.params.id}`, byCallee: true },
  duty: { summary: (input) => `Retire the authority ${input.params.id}` },
  handle: (input, call) =>
    asked(
      call,
      (ca, by) => ca.retire(input.params.id, input.body as never, by),
      (retired) => ok({ retired }),
    ),
});

const passphrase = Type.String({ minLength: 8, maxLength: 1024, writeOnly: true, description: 'Encrypts the key.' });

const exportKey = route({
  ...own,
  method: 'POST',
  path: '/authorities/{id}/export',
  operation: 'exportAuthority',
  summary: 'Key and certificate of an own authority, the key encrypted',
  params,
  body: object({
    passphrase,
    remove: Type.Optional(Type.Boolean({ description: 'true: this node keeps no copy, so that the key is offline; only of a root.' })),
  }),
  answers: { 200: { description: 'One PEM text.', schema: object({ pem: Type.String() }) } },
  audit: { action: 'authority.export', target: (input) => `authority/${input.params.id}`, byCallee: true },
  duty: { summary: (input) => `Export the key of the authority ${input.params.id}` },
  handle: (input, call) => asked(call, (ca, by) => ca.exportKey(input.params.id, input.body as never, by)),
});

const importKey = route({
  ...own,
  method: 'POST',
  path: '/authorities:import',
  operation: 'importAuthority',
  summary: 'Bring back what was exported',
  body: object({ pem: Type.String({ minLength: 1, maxLength: 65_536 }), passphrase }),
  answers: { 200: { description: 'The authority, which has its key again.', schema: authority } },
  audit: { action: 'authority.import', target: () => 'authority', byCallee: true },
  duty: { summary: () => 'Import the key of an authority' },
  handle: ({ body }, call) => asked(call, (ca, by) => ca.importKey(body, by)),
});

const names = (description: string) =>
  Type.Optional(Type.Array(Type.String({ minLength: 1, maxLength: maxIdLength }), { maxItems: 64, description }));
const urls = (description: string) =>
  Type.Optional(Type.Array(Type.String({ minLength: 1, maxLength: 1024 }), { maxItems: 16, description }));

const register = route({
  method: 'POST',
  path: '/authorities',
  operation: 'registerAuthority',
  summary: 'Note an authority of somebody else, whose certificates shall be good in the tenant',
  description: 'It counts once it is proved: have it issue a certificate for the common name `nonce`, and send that to prove.',
  permission: 'authorities:write',
  scope: 'tenant',
  body: object({
    certificate: Type.String({ minLength: 1, maxLength: 65_536, description: 'PEM.' }),
    registration: Type.Optional(
      choice(
        ['none', 'just-in-time'],
        'just-in-time: devices that it has certified and that nobody has added are added when they connect.',
      ),
    ),
    groups: names('Groups of devices added just in time.'),
    roles: names('Roles of devices added just in time.'),
    crlUrls: urls('Where its revocation lists are, besides what its certificates say.'),
    ocspUrls: urls('Where it answers OCSP, besides what its certificates say.'),
    revocationCheck: Type.Optional(
      choice(
        ['none', 'soft', 'hard'],
        'When it cannot be found out whether one is revoked: soft lets in, hard keeps out; none does not ask.',
      ),
    ),
  }),
  answers: { 201: { description: 'Noted; not trusted yet.', schema: object({ authority, nonce: Type.String() }) } },
  audit: { action: 'authority.register', target: (_input, tenant) => `authority/${tenant}`, byCallee: true },
  duty: { summary: (_input, tenant) => `Register an authority in the tenant ${tenant}` },
  forbids: ({ body }, call) => grantForbidden(body.roles, call) ?? newDeviceForbidden(body, call),
  handle: ({ body }, call) =>
    asked(
      call,
      (ca, by) => ca.register({ ...(body as { certificate: string }), tenant: call.tenant }, by),
      (value) => created(value, `/authorities/${value.authority.id}`),
    ),
});

const prove = route({
  method: 'POST',
  path: '/authorities/{id}/prove',
  operation: 'proveAuthority',
  summary: 'Prove that its key is in your hands: a certificate that it has issued for the nonce',
  permission: 'authorities:write',
  scope: 'tenant',
  params,
  body: object({ proof: Type.String({ minLength: 1, maxLength: 65_536, description: 'PEM.' }) }),
  answers: { 200: { description: 'Trusted now.', schema: authority } },
  audit: { action: 'authority.prove', target: (input, tenant) => `authority/${tenant}/${input.params.id}`, byCallee: true },
  duty: { summary: (input, tenant) => `Trust the authority ${input.params.id} in the tenant ${tenant}` },
  handle: (input, call) => asked(call, (ca, by) => ca.prove({ tenant: call.tenant, id: input.params.id, proof: input.body.proof }, by)),
});

export const authorityRoutes: readonly RouteSpec[] = [list, get, init, impact, rotate, retire, exportKey, importKey, register, prove];
