// Roles and policies: what principals may do.

import { Type } from 'typebox';
import type { OwnerKind } from '../../registry/entries.ts';
import { ownerKinds } from '../../registry/entries.ts';
import type { Registry } from '../../registry/registry.ts';
import { methods } from '../../security/security.ts';
import { entryRoutes } from './entry-routes.ts';
import { policiesForbidden } from './grants.ts';
import { forbidden, notFound, Problem, registryProblem } from './problem.ts';
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
  async guard({ id: name, body }, call) {
    // What is denied to this role by its policies could keep every administrator out.
    if (name === 'admin' && !call.caller.may('tenants:write')) return forbidden('only administrators change the role admin');
    return policiesForbidden({ policies: body['policies'] as readonly string[] | undefined }, call);
  },
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
  async guard({ body: { document } }, call) {
    return document === undefined ? undefined : policiesForbidden({ documents: [textOf(document)] }, call);
  },
  duty: 'always',
});

const someNames = (description: string) => Type.Array(Type.String({ minLength: 1, maxLength: maxIdLength }), { maxItems: 64, description });
const actions = choice(['connect', 'publish', 'subscribe', 'consume', 'retain', 'manage'], 'What it wants to do.');

const question = object({
  principal: object({
    kind: Type.Optional(choice(['device', 'application', 'user'], 'Absent: whichever there is; of a supposed one, application.')),
    id,
    supposed: Type.Optional(
      object(
        {
          roles: Type.Optional(someNames('Roles.')),
          groups: Type.Optional(someNames('Groups.')),
          labels: Type.Optional(Type.Record(Type.String({ maxLength: 64 }), Type.String({ maxLength: 256 }), { maxProperties: 32 })),
        },
        { description: 'To ask about one that need not exist: in place of what the registry has.' },
      ),
    ),
  }),
  action: actions,
  topic: Type.String({ maxLength: 65_535, description: 'Topic or filter; for connect the client id, for manage the resource.' }),
  access: Type.Optional(
    object(
      {
        listener: Type.Optional(Type.String({ minLength: 1, maxLength: maxIdLength, description: 'Name of a listener.' })),
        remoteAddress: Type.Optional(text('Address it comes from.', { minLength: 1, maxLength: 64 })),
        secure: Type.Optional(Type.Boolean({ description: 'With TLS. Absent: as the listener is.' })),
        method: Type.Optional(
          choice([...methods], 'By what it has proved itself. Absent: by a certificate if it is a device, else by a password.'),
        ),
      },
      { description: 'How it is connected. What is not told meets no condition.' },
    ),
  ),
  message: Type.Optional(
    object({
      guarantee: Type.Enum([0, 1, 2], { type: 'integer', description: 'Guarantee of the message.' }),
      payloadBytes: Type.Integer({ minimum: 0, maximum: 268_435_456, description: 'Size of its payload.' }),
    }),
  ),
});

const finding = object({
  origin: object({
    source: choice(['built-in', 'configuration', 'file', 'registry'], 'Where the statement stands.'),
    name: Type.String({ description: 'Of the role, the setting, the file or the policy.' }),
    index: Type.Integer({ description: 'Which statement there, from 0.' }),
  }),
  effect: choice(['allow', 'deny'], 'What it does when it applies.'),
  title: Type.Optional(Type.String({ description: 'What it is for.' })),
  outcome: choice(['applies', 'topic-differs', 'condition-unmet', 'condition-unknown', 'node-only'], 'What came of it.'),
  pattern: Type.Optional(Type.String({ description: 'The pattern that fits.' })),
  condition: Type.Optional(Type.String({ description: 'The condition that is not met, or cannot be known.' })),
});

const explanation = object({
  isAllowed: Type.Boolean(),
  reason: choice(
    ['denied-by', 'allowed-by', 'nothing-allows', 'not-restricted', 'broker-only', 'invalid', 'unknown-tenant', 'barred'],
    'denied-by, allowed-by: the decisive statement. not-restricted: whoever is known may connect. barred: it may not come in at all.',
  ),
  decisive: Type.Optional(finding),
  findings: Type.Array(finding, { description: 'Every statement that binds the principal and names the action.' }),
  notes: Type.Array(Type.String(), { description: 'Things that are perhaps not as they were meant.' }),
  principal: Type.Optional(
    object({
      kind: Type.String(),
      roles: Type.Array(Type.String()),
      groups: Type.Array(Type.String()),
      labels: Type.Record(Type.String(), Type.String()),
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
  answers: { 200: { description: 'The decision, and what made it.', schema: explanation } },
  async handle({ body }, { tenant, services }) {
    const explain = services.explain?.();
    if (explain === undefined) return new Problem(503, 'no-node', 'policies cannot be tried here');
    const { id: name, supposed } = body.principal;
    const kind = supposed === undefined ? await kindOf(body.principal, tenant, services.registry) : (body.principal.kind ?? 'application');
    if (kind instanceof Problem) return kind;
    const { action, topic, access, message } = body;
    const asked = { tenant, id: name, kind, ...(supposed && { supposed }), ...(access && { access }) };
    const found = await explain(asked, action, topic, message);
    return found === undefined ? new Problem(503, 'unavailable', 'the policies cannot be read now') : ok(found);
  },
});

/** The kind of the one principal that has this name. */
async function kindOf(
  { kind, id: name }: { kind?: OwnerKind; id: string },
  tenant: string,
  registry: Registry,
): Promise<OwnerKind | Problem> {
  for (const each of kind === undefined ? ownerKinds : [kind]) {
    const found = await registry.get(each, tenant, name);
    if (!found.ok) return registryProblem(found.error);
    if (found.value !== undefined) return each;
  }
  return notFound(`principal ${tenant}/${name}`);
}

export const accessRoutes: readonly RouteSpec[] = [...roleRoutes, ...policyRoutes, test];
