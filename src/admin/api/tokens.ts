// API tokens: what a script shows instead of a password. Each acts as its owner, with what the owner may.

import { Type } from 'typebox';
import type { Entry, OwnerKind } from '../../registry/entries.ts';
import type { Write } from '../../registry/registry.ts';
import { actingForbidden } from './grants.ts';
import type { Permission } from './permission.ts';
import { forbidden, notFound, Problem, registryProblem } from './problem.ts';
import { created, done, ok, route, type Call, type RouteSpec } from './route.ts';
import { choice, head, id, idParams, moment, object, pageOf, pageQuery } from './schemas.ts';
import { newToken } from './token-owner.ts';

const maxValidMs = 10 * 365 * 86_400_000;

export const owner = object({ kind: choice(['device', 'application', 'user'], 'What it is.'), id }, { description: 'Whose it is.' });

const token = object({ ...head, owner, expiresAtMs: Type.Optional(moment('When it ends.')) });

function viewOf(entry: Entry<'credential'>): object {
  const { secret: _, type: __, ...rest } = entry;
  return rest;
}

const list = route({
  method: 'GET',
  path: '/tokens',
  operation: 'listTokens',
  summary: 'API tokens, without their text',
  permission: 'users:read',
  scope: 'tenant',
  query: object({
    ...pageQuery,
    ownerKind: Type.Optional(choice(['device', 'application', 'user'], 'With ownerId: only those of this owner.')),
    ownerId: Type.Optional(id),
  }),
  answers: { 200: pageOf(token, 'A page of tokens.') },
  async handle({ query: { limit, after, ownerKind, ownerId } }, { tenant, services }) {
    if ((ownerKind === undefined) !== (ownerId === undefined)) {
      return new Problem(422, 'invalid', 'ownerKind and ownerId go together', { field: 'ownerKind' });
    }
    const whose = ownerKind === undefined ? undefined : { kind: ownerKind, id: ownerId! };
    const page = await services.registry.list('credential', tenant, { limit, after, owner: whose });
    if (!page.ok) return registryProblem(page.error);
    return ok({ entries: page.value.entries.filter(({ type }) => type === 'token').map(viewOf), next: page.value.next });
  },
});

/** Whoever makes a token for somebody can act as that one. */
async function ownerFault(call: Call, kind: OwnerKind, name: string): Promise<Problem | undefined> {
  const wanted = `${kind}s:write` as Permission;
  if (!call.caller.may(wanted)) return forbidden(`you may not: it wants the permission manage on ${wanted}`);
  const found = await call.services.registry.get(kind, call.tenant, name);
  if (!found.ok) return registryProblem(found.error);
  if (found.value === undefined) return notFound(`${kind} ${call.tenant}/${name}`);
  return actingForbidden(kind, found.value, call);
}

const create = route({
  method: 'POST',
  path: '/tokens',
  operation: 'createToken',
  summary: 'Make an API token: its text is shown here, and never again',
  permission: 'users:write',
  scope: 'tenant',
  body: object({
    owner,
    validMs: Type.Optional(Type.Integer({ minimum: 1000, maximum: maxValidMs, description: 'How long it holds. Absent: for ever.' })),
  }),
  answers: {
    201: { description: 'The token.', schema: object({ ...token.properties, token: Type.String({ description: 'Its text.' }) }) },
  },
  audit: { action: 'token.create', target: ({ body }, tenant) => `${body.owner.kind}/${tenant}/${body.owner.id}` },
  async handle({ body }, call) {
    const { tenant, services } = call;
    const { kind, id: name } = body.owner;
    const fault = await ownerFault(call, kind, name);
    if (fault !== undefined) return fault;
    const made = newToken(tenant, services.random);
    const expiresAtMs = body.validMs === undefined ? undefined : services.clock.wallMs() + body.validMs;
    const fields = { owner: { kind, id: name }, type: 'token', secret: made.hash, expiresAtMs } as const;
    const stored = await services.registry.create('credential', tenant, made.id, fields);
    if (!stored.ok) return registryProblem(stored.error);
    const answer = created({ ...viewOf(stored.value), token: made.text }, `/tokens/${made.id}`, stored.value.version);
    return { ...answer, details: { token: made.id } };
  },
});

const remove = route({
  method: 'DELETE',
  path: '/tokens/{id}',
  operation: 'removeToken',
  summary: 'Take an API token back: it means nothing from now on',
  permission: 'users:write',
  scope: 'tenant',
  params: idParams,
  answers: { 204: { description: 'It is gone.' } },
  audit: { action: 'token.remove', target: ({ params }, tenant) => `token/${tenant}/${params.id}` },
  async handle({ params }, { tenant, services }) {
    const found = await services.registry.get('credential', tenant, params.id);
    if (!found.ok) return registryProblem(found.error);
    if (found.value?.type !== 'token') return notFound(`token ${params.id}`);
    const write: Write = { do: 'remove', kind: 'credential', tenant, id: params.id, version: found.value.version };
    const gone = await services.registry.apply([write], { atomic: true });
    return gone.ok ? done : registryProblem(gone.error);
  },
});

export const tokenRoutes: readonly RouteSpec[] = [list, create, remove];
