// Devices, applications and users: each becomes a principal when it connects.

import { Type, type TProperties } from 'typebox';
import type { CredentialType, OwnerKind } from '../../registry/entries.ts';
import type { Write } from '../../registry/registry.ts';
import { entryRoutes, type EntryShape } from './entry-routes.ts';
import { actingForbidden, changeForbidden, grantForbidden, type Facts } from './grants.ts';
import { notFound, Problem, registryProblem } from './problem.ts';
import { done, route, type Answer, type Call, type RouteSpec } from './route.ts';
import { choice, idParams, maxIdLength, object, text } from './schemas.ts';
import type { ApiServices } from './services.ts';

const names = (description: string) => Type.Array(Type.String({ minLength: 1, maxLength: maxIdLength }), { maxItems: 64, description });

export const principalFields = {
  status: choice(['active', 'disabled'], 'disabled: kept out, whatever it shows.'),
  labels: Type.Record(Type.String({ maxLength: 64 }), Type.String({ maxLength: 256 }), {
    description: 'Facts to search and to write policies by.',
  }),
  groups: names('Groups it is in.'),
  roles: names('Roles that give it policies.'),
} satisfies TProperties;

const principalQuery = {
  status: Type.Optional(choice(['active', 'disabled'], 'Only these.')),
  label: Type.Optional(
    Type.Array(Type.String({ maxLength: 322 }), { maxItems: 16, description: 'key=value. Only those that have all these labels.' }),
  ),
  group: Type.Optional(
    Type.Array(Type.String({ maxLength: maxIdLength }), { maxItems: 16, description: 'Only those in all these groups.' }),
  ),
};

const password = Type.String({
  minLength: 1,
  maxLength: 1024,
  description: 'Only hashes of it are kept. Without one it cannot sign in with a password.',
  writeOnly: true,
});

type Resource = 'devices' | 'applications' | 'users';

function shapeOf(kind: OwnerKind, resource: Resource, many: string, one: string, more: TProperties): EntryShape<OwnerKind> {
  return {
    kind,
    resource,
    many,
    one,
    scope: 'tenant',
    fields: { ...principalFields, ...more },
    newFields: { password: Type.Optional(password) },
    query: principalQuery,
    stored(body) {
      const { password: _, ...fields } = body;
      return fields;
    },
    fault: (body, call) => grantForbidden(body['roles'] as readonly string[] | undefined, call),
    // Who is given a role is given its rights: CA and policy changes want two people, and this is one way to make them.
    duty: (body) => body?.['roles'] !== undefined,
    guard: async ({ id, body, before }, call) => guarded(kind, id, body, before, call),
    async alsoWrites(id, { password: chosen }, call) {
      if (chosen === undefined) return [];
      return passwordWrites(call.services, call.tenant, kind, id, chosen as string);
    },
  };
}

/** Policies go by more than roles, and a password is a way to act with all that they give. */
function guarded(
  kind: OwnerKind,
  id: string,
  body: Readonly<Record<string, unknown>>,
  before: Facts | undefined,
  call: Call,
): Problem | undefined {
  const given = body as Partial<Facts>;
  const isNew = before === undefined;
  if (!isNew && given.roles === undefined && given.groups === undefined && given.labels === undefined) return undefined;
  const { roles = [], groups = [], labels = {} } = { ...before, ...given };
  const after = { id, roles, groups, labels };
  const forbids = changeForbidden(kind, before, after, given.roles !== undefined, call);
  return forbids ?? (isNew && body['password'] !== undefined ? actingForbidden(kind, after, call) : undefined);
}

async function passwordWrites(
  services: ApiServices,
  tenant: string,
  kind: OwnerKind,
  id: string,
  chosen: string,
): Promise<readonly Write[] | Problem> {
  const made = await services.passwordCredentials(chosen);
  if ('fault' in made) return new Problem(422, 'invalid', made.fault, { field: 'password' });
  return made.credentials.map((credential) => ({
    do: 'create',
    kind: 'credential',
    tenant,
    id: Buffer.from(services.random.bytes(16)).toString('hex'),
    fields: { ...credential, owner: { kind, id } },
  }));
}

function passwordRoutes(kind: OwnerKind, resource: Resource, one: string): readonly RouteSpec[] {
  const common = { path: `/${resource}/{id}/password`, permission: `${resource}:write`, scope: 'tenant', params: idParams } as const;
  const target = ({ params }: { params: { id: string } }, tenant: string): string => `${kind}/${tenant}/${params.id}`;
  return [
    route({
      ...common,
      method: 'PUT',
      operation: `set${one}Password`,
      summary: `Give a ${kind} a password, in place of any it had`,
      body: object({ password }),
      answers: { 204: { description: 'It signs in with this password from now on.' } },
      audit: { action: `${kind}.password.set`, target },
      async handle({ params, body }, call) {
        const made = await passwordWrites(call.services, call.tenant, kind, params.id, body.password);
        return made instanceof Problem ? made : replacePasswords(call, kind, params.id, made);
      },
    }),
    route({
      ...common,
      method: 'DELETE',
      operation: `remove${one}Password`,
      summary: `Take the password from a ${kind}`,
      answers: { 204: { description: 'It has none.' } },
      audit: { action: `${kind}.password.remove`, target },
      handle: ({ params }, call) => replacePasswords(call, kind, params.id, []),
    }),
  ];
}

function replacePasswords(call: Call, kind: OwnerKind, id: string, made: readonly Write[]): Promise<Answer | Problem> {
  return replaceCredentials(call, kind, id, ['password', 'scram-sha-256'], made);
}

/** Those of these types go, the made ones come, in one step. */
export async function replaceCredentials(
  call: Call,
  kind: OwnerKind,
  id: string,
  types: readonly CredentialType[],
  made: readonly Write[],
): Promise<Answer | Problem> {
  const { tenant, services } = call;
  const { registry } = services;
  const found = await registry.get(kind, tenant, id);
  if (!found.ok) return registryProblem(found.error);
  if (found.value === undefined) return notFound(`${kind} ${tenant}/${id}`);
  // Whoever sets a secret can sign in with it.
  const forbids = actingForbidden(kind, found.value, call);
  if (forbids !== undefined) return forbids;
  const had = await registry.credentials(tenant, { kind, id });
  if (!had.ok) return registryProblem(had.error);
  const old = had.value.filter(({ type }) => types.includes(type));
  const gone = old.map((credential): Write => ({
    do: 'remove',
    kind: 'credential',
    tenant,
    id: credential.id,
    version: credential.version,
  }));
  if (gone.length + made.length === 0) return done;
  const applied = await registry.apply([...gone, ...made], { atomic: true });
  return applied.ok ? done : registryProblem(applied.error);
}

export const principalRoutes: readonly RouteSpec[] = [
  ...entryRoutes(shapeOf('device', 'devices', 'Devices', 'Device', {})),
  ...passwordRoutes('device', 'devices', 'Device'),
  ...entryRoutes(shapeOf('application', 'applications', 'Applications', 'Application', {})),
  ...passwordRoutes('application', 'applications', 'Application'),
  ...entryRoutes(shapeOf('user', 'users', 'Users', 'User', { title: text('Who it is, for people.') })),
  ...passwordRoutes('user', 'users', 'User'),
];
