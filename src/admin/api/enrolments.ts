// Tokens by which devices that have nothing else are given their first certificate.

import { Type } from 'typebox';
import type { EnrolmentFault } from '../../security/pki/enrolment/enrolment.ts';
import { actingForbidden, changeForbidden, grantForbidden, newDeviceForbidden } from './grants.ts';
import { noNode, Problem, registryProblem } from './problem.ts';
import { created, done, ok, route, type Call, type RouteSpec } from './route.ts';
import { choice, id, idParams, maxIdLength, moment, object, pageOf, pageQuery, tenantName } from './schemas.ts';

const names = (description: string) => Type.Array(Type.String({ minLength: 1, maxLength: maxIdLength }), { maxItems: 64, description });
const newDevices = object(
  { groups: names('Groups they are put into.'), roles: names('Roles they are given.') },
  { description: 'Devices that are not there yet are added with these; absent: only devices that are there can use it.' },
);
const devicePattern = Type.String({
  minLength: 1,
  maxLength: 256,
  description: 'Ids of the devices it is good for: `*` stands for any characters.',
});

const enrolment = object({
  tenant: tenantName,
  id,
  status: choice(['active', 'disabled'], 'disabled: good for nothing.'),
  maxUses: Type.Integer({ description: 'How often it may be used.' }),
  uses: Type.Integer({ description: 'How often it was.' }),
  createdMs: moment('When it was made.'),
  expiresAtMs: moment('When it ends.'),
  devicePattern,
  newDevices: Type.Optional(newDevices),
});

const statusOf: Partial<Record<EnrolmentFault['code'], number>> = {
  'not-found': 404,
  unavailable: 503,
  busy: 503,
  'rate-limited': 429,
  'too-large': 413,
  'already-enrolled': 409,
  disabled: 409,
  'unknown-owner': 404,
};

function enrolmentProblem({ code, message, field, retryAfterMs }: EnrolmentFault): Problem {
  const headers: Record<string, string> = retryAfterMs === undefined ? {} : { 'Retry-After': String(Math.ceil(retryAfterMs / 1000)) };
  return new Problem(statusOf[code] ?? 422, code, message, field === undefined ? {} : { field }, headers);
}

const common = { scope: 'tenant', permission: 'enrolments:write' } as const;
const onOne = { ...common, path: '/enrolments/{id}', params: idParams } as const;
const target = ({ params }: { params: { id: string } }, tenant: string): string => `enrolment/${tenant}/${params.id}`;

type Wanted = {
  readonly devicePattern: string;
  readonly newDevices?: { readonly groups: readonly string[]; readonly roles: readonly string[] };
};

/**
 * A token for one device is a way to act as that one, whatever certificates it has. For several it is good only for those that have
 * none, and manage nothing (enrolment-tokens.ts).
 */
async function oneForbidden({ devicePattern: id, newDevices }: Wanted, call: Call): Promise<Problem | undefined> {
  if (id.includes('*')) return undefined;
  const found = await call.services.registry.get('device', call.tenant, id);
  if (!found.ok) return found.error.code === 'invalid' ? undefined : registryProblem(found.error);
  if (found.value !== undefined) return actingForbidden('device', found.value, call);
  if (newDevices === undefined) return undefined;
  return changeForbidden('device', undefined, { id, labels: {}, ...newDevices }, newDevices.roles.length > 0, call);
}

const list = route({
  method: 'GET',
  path: '/enrolments',
  operation: 'listEnrolments',
  summary: 'Enrolment tokens, without their text',
  permission: 'enrolments:read',
  scope: 'tenant',
  query: object(pageQuery),
  answers: { 200: pageOf(enrolment, 'A page.') },
  async handle({ query }, { tenant, services }) {
    const page = await services.enrolments?.()?.list(tenant, query);
    if (page === undefined) return noNode;
    return page.ok ? ok(page.value) : enrolmentProblem(page.error);
  },
});

const get = route({
  method: 'GET',
  path: '/enrolments/{id}',
  operation: 'getEnrolment',
  summary: 'One enrolment token, without its text',
  permission: 'enrolments:read',
  scope: 'tenant',
  params: idParams,
  answers: { 200: { description: 'What is known of it.', schema: enrolment } },
  async handle({ params }, { tenant, services }) {
    const found = await services.enrolments?.()?.get(tenant, params.id);
    if (found === undefined) return noNode;
    return found.ok ? ok(found.value) : enrolmentProblem(found.error);
  },
});

const create = route({
  ...common,
  method: 'POST',
  path: '/enrolments',
  operation: 'createEnrolment',
  summary: 'Make an enrolment token: its text is shown here, and never again',
  body: object({
    devicePattern,
    maxUses: Type.Optional(
      Type.Integer({ minimum: 1, maximum: 1_000_000, description: 'How many devices can be enrolled; 1 when absent.' }),
    ),
    validMs: Type.Optional(Type.Integer({ minimum: 1000, maximum: 3.2e10, description: 'For how long; a day when absent.' })),
    newDevices: Type.Optional(newDevices),
  }),
  answers: {
    201: { description: 'The token.', schema: object({ ...enrolment.properties, token: Type.String({ description: 'Its text.' }) }) },
  },
  audit: { action: 'enrolment.create', target: (_input, tenant) => `enrolment/${tenant}`, byCallee: true },
  duty: {
    applies: ({ body }) => (body.newDevices?.roles.length ?? 0) > 0,
    summary: ({ body }, tenant) =>
      `Make an enrolment token in ${tenant} that gives new devices the roles ${body.newDevices?.roles.join(', ')}`,
  },
  forbids: ({ body }, call) => grantForbidden(body.newDevices?.roles, call) ?? newDeviceForbidden(body.newDevices ?? {}, call),
  async handle({ body }, call) {
    const { tenant, services, caller, from } = call;
    const forbids = await oneForbidden(body as Wanted, call);
    if (forbids !== undefined) return forbids;
    const made = await services.enrolments?.()?.create({ ...body, tenant } as never, { actor: caller.actor, from });
    if (made === undefined) return noNode;
    if (!made.ok) return enrolmentProblem(made.error);
    return created({ ...made.value.enrolment, token: made.value.token }, `/enrolments/${made.value.enrolment.id}`);
  },
});

const update = route({
  ...onOne,
  method: 'PATCH',
  operation: 'updateEnrolment',
  summary: 'Disable an enrolment token, or make it active again',
  body: object({ status: choice(['active', 'disabled'], 'disabled: good for nothing.') }),
  answers: { 200: { description: 'As it is now.', schema: enrolment } },
  audit: { action: 'enrolment.update', target, byCallee: true },
  async handle({ params, body }, { tenant, services, caller, from }) {
    const changed = await services.enrolments?.()?.setStatus(tenant, params.id, body.status, { actor: caller.actor, from });
    if (changed === undefined) return noNode;
    return changed.ok ? ok(changed.value) : enrolmentProblem(changed.error);
  },
});

const remove = route({
  ...onOne,
  method: 'DELETE',
  operation: 'removeEnrolment',
  summary: 'Take an enrolment token back',
  answers: { 204: { description: 'It is gone.' } },
  audit: { action: 'enrolment.remove', target, byCallee: true },
  async handle({ params }, { tenant, services, caller, from }) {
    const gone = await services.enrolments?.()?.remove(tenant, params.id, { actor: caller.actor, from });
    if (gone === undefined) return noNode;
    return gone.ok ? done : enrolmentProblem(gone.error);
  },
});

export const enrolmentRoutes: readonly RouteSpec[] = [list, get, create, update, remove];
