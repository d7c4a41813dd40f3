// Roles and policies: what principals may do.

import { Type } from 'typebox';
import type { OwnerKind } from '../../registry/entries.ts';
import { ownerKinds } from '../../registry/entries.ts';
import { entryRoutes } from './entry-routes.ts';
import { notFound, Problem, registryProblem } from './problem.ts';
import { ok, route, type Call, type RouteSpec } from './route.ts';
import { choice, id, maxIdLength, object, text } from './schemas.ts';
import { quotas } from './tenants.ts';

const roleRoutes = entryRoutes({
  kind: 'role',
  resource: 'roles',
  many: 'Roles',
  one: 'Role',
  scope: 'tenant',
  fields: {
    title: text('What it is for, for people.'),
    policies: Type.Array(Type.String({ minLength: 1, maxLength: maxIdLength }), { maxItems: 64, description: 'Policies it grants.' }),
    quotas,
  },
  query: { policy: Type.Optional(Type.String({ maxLength: maxIdLength, description: 'Only roles that name this policy.' })) },
  duty: 'always',
});

const documentSchema = Type.Union([Type.Record(Type.String(), Type.Unknown()), Type.String({ minLength: 2, maxLength: 65_536 })], {
  description: 'The policy as an object, or as JSON text, which is kept as it was written.',
});

function textOf(document: unknown): string {
  return typeof document === 'string' ? document : JSON.stringify(document);
}

function documentFault(document: unknown, { services }: Call): Problem | undefined {
  if (document === undefined || services.policyFaults === undefined) return undefined;
  const [first, ...others] = services.policyFaults(textOf(document));
  if (first === undefined) return undefined;
  const place = first.path === '' ? 'the document' : `"${first.path}"`;
  const more = others.length === 0 ? '' : ` (and ${others.length} more)`;
  const field = first.path === '' ? 'document' : `document.${first.path}`;
  return new Problem(422, 'invalid', `${place} ${first.what}: ${first.fix}${more}`, { field });
}

const policyRoutes = entryRoutes({
  kind: 'policy',
  resource: 'policies',
  many: 'Policies',
  one: 'Policy',
  scope: 'tenant',
  fields: { document: documentSchema },
  needed: ['document'],
  shown: { document: Type.Unknown({ description: 'The policy.' }) },
  view: ({ document, ...rest }) => ({ ...rest, document: JSON.parse(document) as unknown }),
  stored: ({ document }) => (document === undefined ? {} : { document: textOf(document) }),
  fault: ({ document }, call) => documentFault(document, call),
  duty: 'always',
});

const question = object({
  principal: object({
    kind: Type.Optional(choice(['device', 'application', 'user'], 'Absent: whichever there is.')),
    id,
  }),
  action: choice(['connect', 'publish', 'subscribe', 'consume', 'retain', 'manage'], 'What it wants to do.'),
  topic: Type.String({ maxLength: 65_535, description: 'Topic or filter; for connect the client id, for manage the resource.' }),
  message: Type.Optional(
    object({
      guarantee: Type.Enum([0, 1, 2], { type: 'integer', description: 'Guarantee of the message.' }),
      payloadBytes: Type.Integer({ minimum: 0, maximum: 268_435_456, description: 'Size of its payload.' }),
    }),
  ),
});

const test = route({
  method: 'POST',
  path: '/policies:test',
  operation: 'testPolicies',
  summary: 'Why a principal may do something, or may not: which statement decides',
  permission: 'policies:read',
  scope: 'tenant',
  body: question,
  answers: { 200: { description: 'The decision, and what made it.', schema: Type.Record(Type.String(), Type.Unknown()) } },
  async handle({ body }, { tenant, services }) {
    const explain = services.explain?.();
    if (explain === undefined)
      return new Problem(503, 'no-node', 'policies are tried on a running broker: start it with "heliograph serve"');
    const { kind, id: name } = body.principal;
    for (const each of kind === undefined ? ownerKinds : ([kind] as readonly OwnerKind[])) {
      const found = await services.registry.get(each, tenant, name);
      if (!found.ok) return registryProblem(found.error);
      if (found.value === undefined) continue;
      const { roles, groups, labels } = found.value;
      const explanation = await explain({ tenant, id: name, kind: each, roles, groups, labels }, body.action, body.topic, body.message);
      return explanation === undefined ? new Problem(503, 'unavailable', 'the policies cannot be read now') : ok(explanation);
    }
    return notFound(`principal ${tenant}/${name}`);
  },
});

export const accessRoutes: readonly RouteSpec[] = [...roleRoutes, ...policyRoutes, test];
