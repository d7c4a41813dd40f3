// The five routes that every kind of entry of the registry has: list, show, add, change, remove.

import { Type, type TProperties, type TSchema } from 'typebox';
import type { Entry, Fields, Kind, NewFields, Status } from '../../registry/entries.ts';
import { systemScope } from '../../registry/entries.ts';
import type { Query, Write } from '../../registry/registry.ts';
import type { ManagedResource } from './permission.ts';
import { notFound, Problem, registryProblem } from './problem.ts';
import { created, done, ok, route, type Answer, type Call, type RouteSpec } from './route.ts';
import { head, id, idParams, object, pageOf, pageQuery, prefix } from './schemas.ts';

type Body = Readonly<Record<string, unknown>>;

export type EntryShape<K extends Kind> = {
  readonly kind: K;
  readonly resource: ManagedResource;
  /** As in `listDevices`, `getDevice`. */
  readonly many: string;
  readonly one: string;
  readonly scope: 'tenant' | 'system';
  /** Fields that are given at creation and changed later. */
  readonly fields: TProperties;
  /** Of these, what a new one cannot do without. */
  readonly needed?: readonly string[];
  /** Fields that only a new one has. */
  readonly newFields?: TProperties;
  /** What is shown, besides the head; absent: `fields`. */
  readonly shown?: TProperties;
  readonly query?: TProperties;
  readonly view?: (entry: Entry<K>) => object;
  /** What is stored of a body. */
  readonly stored?: (body: Body) => Partial<Fields[K]>;
  /** Why a body is refused before the registry sees it. */
  readonly fault?: (body: Body, call: Call) => Problem | undefined;
  /** Why what would become of the entry is refused. `before`: absent of a new one. */
  readonly guard?: (
    asked: { readonly id: string; readonly body: Body; readonly before?: Entry<K> },
    call: Call,
  ) => Promise<Problem | undefined>;
  /** More writes that go with a new entry, all or none. */
  readonly alsoWrites?: (id: string, body: Body, call: Call) => Promise<readonly Write[] | Problem>;
  readonly duty?: 'always' | ((body: Body | undefined) => boolean);
};

export function labelsOf(given: readonly string[]): Readonly<Record<string, string>> | Problem {
  const labels: Record<string, string> = Object.create(null) as Record<string, string>;
  for (const pair of given) {
    const sign = pair.indexOf('=');
    if (sign < 1) return new Problem(422, 'invalid', 'a label is key=value', { field: 'label' });
    labels[pair.slice(0, sign)] = pair.slice(sign + 1);
  }
  return labels;
}

/** The registry's question for the parameters of a list. */
export function queryOf(given: Body): Query | Problem {
  const {
    limit,
    after,
    prefix: start,
    status,
    label,
    group,
    policy,
  } = given as {
    limit?: number;
    after?: string;
    prefix?: string;
    status?: Status;
    label?: readonly string[];
    group?: readonly string[];
    policy?: string;
  };
  const labels = label === undefined ? undefined : labelsOf(label);
  if (labels instanceof Problem) return labels;
  return { limit, after, prefix: start, status, labels, groups: group, policy };
}

const schemaOf = (properties: TProperties): TSchema => object(properties);

function newBody<K extends Kind>({ fields, needed = [], newFields = {} }: EntryShape<K>): TSchema {
  const properties = Object.entries(fields).map(([name, schema]) => [name, needed.includes(name) ? schema : Type.Optional(schema)]);
  return schemaOf({ id, ...(Object.fromEntries(properties) as TProperties), ...newFields });
}

function changesBody<K extends Kind>({ fields }: EntryShape<K>): TSchema {
  return schemaOf(Object.fromEntries(Object.entries(fields).map(([name, schema]) => [name, Type.Optional(schema)])));
}

export function entryRoutes<K extends Kind>(shape: EntryShape<K>): readonly RouteSpec[] {
  return [listRoute(shape), getRoute(shape), ...changingRoutes(shape)];
}

function tenantOf<K extends Kind>({ scope }: EntryShape<K>, tenant: string): string {
  return scope === 'system' ? systemScope : tenant;
}

/** Path of an entry for the audit log. */
function targetOf<K extends Kind>({ kind, scope }: EntryShape<K>, entryId: string, tenant: string): string {
  return scope === 'system' ? `${kind}/${entryId}` : `${kind}/${tenant}/${entryId}`;
}

function shownSchema<K extends Kind>({ scope, shown, fields }: EntryShape<K>): TSchema {
  const { tenant: _, ...withoutTenant } = head;
  return schemaOf({ ...(scope === 'system' ? withoutTenant : head), ...(shown ?? fields) });
}

function viewOf<K extends Kind>({ scope, view }: EntryShape<K>, entry: Entry<K>): object {
  if (view !== undefined) return view(entry);
  const { tenant: _, ...rest } = entry;
  return scope === 'system' ? rest : entry;
}

function listRoute<K extends Kind>(shape: EntryShape<K>): RouteSpec {
  const { kind, resource, many, query = {} } = shape;
  return route({
    method: 'GET',
    path: `/${resource}`,
    operation: `list${many}`,
    summary: `${many}, in the order of their ids`,
    permission: `${resource}:read`,
    scope: shape.scope,
    query: object({ ...pageQuery, prefix, ...query }),
    answers: { 200: pageOf(shownSchema(shape), 'A page.') },
    async handle(input, { tenant, services }) {
      const wanted = queryOf(input.query);
      if (wanted instanceof Problem) return wanted;
      const page = await services.registry.list(kind, tenantOf(shape, tenant), wanted);
      if (!page.ok) return registryProblem(page.error);
      return ok({ entries: page.value.entries.map((entry) => viewOf(shape, entry)), next: page.value.next });
    },
  });
}

function getRoute<K extends Kind>(shape: EntryShape<K>): RouteSpec {
  const { kind, resource, one } = shape;
  return route({
    method: 'GET',
    path: `/${resource}/{id}`,
    operation: `get${one}`,
    summary: `One ${kind}`,
    permission: `${resource}:read`,
    scope: shape.scope,
    params: idParams,
    answers: { 200: { description: `The ${kind}.`, schema: shownSchema(shape) } },
    async handle({ params }, { tenant, services }) {
      const found = await services.registry.get(kind, tenantOf(shape, tenant), params.id);
      if (!found.ok) return registryProblem(found.error);
      if (found.value === undefined) return notFound(`${kind} ${nameOf(shape, tenant, params.id)}`);
      return ok(viewOf(shape, found.value), found.value.version);
    },
  });
}

function nameOf<K extends Kind>({ scope }: EntryShape<K>, tenant: string, entryId: string): string {
  return scope === 'system' ? entryId : `${tenant}/${entryId}`;
}

type OnOne = { readonly params: { readonly id: string } };

function changingRoutes<K extends Kind>(shape: EntryShape<K>): RouteSpec[] {
  return [createRoute(shape), updateRoute(shape), removeRoute(shape)];
}

function createRoute<K extends Kind>(shape: EntryShape<K>): RouteSpec {
  const { kind, resource, one, scope } = shape;
  const idOf = (given: unknown): string => (given as { id: string }).id;
  return route({
    method: 'POST',
    path: `/${resource}`,
    operation: `create${one}`,
    summary: `Add ${article(kind)}`,
    permission: `${resource}:write`,
    scope,
    body: newBody(shape),
    answers: { 201: { description: 'It is there; Location names it.', schema: shownSchema(shape) } },
    audit: { action: `${kind}.create`, target: ({ body }, tenant) => targetOf(shape, idOf(body), tenant) },
    ...dutyOf<K, { body: unknown }>(shape, ({ body }, tenant) => `Add the ${kind} ${nameOf(shape, tenant, idOf(body))}`),
    ...faultOf(shape),
    handle: (input, call) => create(shape, input.body as Body, call),
  });
}

/** What the two routes that change one entry have in common. */
function onOne<K extends Kind>(shape: EntryShape<K>) {
  const { resource, scope, kind } = shape;
  const target = ({ params }: OnOne, tenant: string): string => targetOf(shape, params.id, tenant);
  return {
    common: { path: `/${resource}/{id}`, permission: `${resource}:write`, scope, params: idParams } as const,
    audit: (verb: string) => ({ action: `${kind}.${verb}`, target }),
    summary:
      (verb: string) =>
      ({ params }: OnOne, tenant: string) =>
        `${verb} the ${kind} ${nameOf(shape, tenant, params.id)}`,
  };
}

function updateRoute<K extends Kind>(shape: EntryShape<K>): RouteSpec {
  const { common, audit, summary } = onOne(shape);
  return route({
    ...common,
    method: 'PATCH',
    operation: `update${shape.one}`,
    summary: `Change ${article(shape.kind)}: only what is given changes`,
    body: changesBody(shape),
    answers: { 200: { description: 'As it is now.', schema: shownSchema(shape) } },
    audit: audit('update'),
    ...dutyOf<K, OnOne>(shape, summary('Change')),
    ...faultOf(shape),
    handle: (input, call) => update(shape, input, call),
  });
}

function removeRoute<K extends Kind>(shape: EntryShape<K>): RouteSpec {
  const { common, audit, summary } = onOne(shape);
  return route({
    ...common,
    method: 'DELETE',
    operation: `remove${shape.one}`,
    summary: `Remove ${article(shape.kind)}`,
    answers: { 204: { description: 'It is gone.' } },
    audit: audit('remove'),
    // Keeping somebody out asks nobody: it must be quick.
    ...(shape.duty === 'always' ? dutyOf<K, OnOne>(shape, summary('Remove')) : {}),
    async handle({ params }, { tenant, services, ifMatch }) {
      const gone = await services.registry.remove(shape.kind, tenantOf(shape, tenant), params.id, ifMatch);
      return gone.ok ? done : registryProblem(gone.error);
    },
  });
}

function article(kind: Kind): string {
  return `${/^[aeo]/.test(kind) ? 'an' : 'a'} ${kind}`;
}

type Duty<I> = { readonly applies: (input: I) => boolean; readonly summary: (input: I, tenant: string) => string };

function dutyOf<K extends Kind, I>({ duty }: EntryShape<K>, summary: Duty<I>['summary']): { readonly duty?: Duty<I> } {
  if (duty === undefined) return {};
  return { duty: { applies: (input) => duty === 'always' || duty((input as { body?: Body }).body), summary } };
}

function faultOf<K extends Kind>({ fault }: EntryShape<K>) {
  return fault === undefined ? {} : { forbids: (input: { body: unknown }, call: Call) => fault(input.body as Body, call) };
}

async function create<K extends Kind>(shape: EntryShape<K>, { id: name, ...given }: Body, call: Call): Promise<Answer | Problem> {
  const { kind, resource, stored = (same) => same as Partial<Fields[K]> } = shape;
  const { registry } = call.services;
  const entryId = name as string;
  const tenant = tenantOf(shape, call.tenant);
  const forbids = await shape.guard?.({ id: entryId, body: given }, call);
  if (forbids !== undefined) return forbids;
  const also = (await shape.alsoWrites?.(entryId, given, call)) ?? [];
  if (also instanceof Problem) return also;
  const write = { do: 'create', kind, tenant, id: entryId, fields: stored(given) as NewFields<K> } as unknown as Write;
  const applied = await registry.apply([write, ...also], { atomic: true });
  if (!applied.ok) return registryProblem(applied.error);
  const result = applied.value[0]!;
  if (!result.ok) return registryProblem(result.error);
  const entry = result.value as unknown as Entry<K>;
  return created(viewOf(shape, entry), `/${resource}/${encodeURIComponent(entryId)}`, entry.version);
}

/** Of several who change an entry at once each is held against what the others made of it. */
const maxTries = 5;

async function update<K extends Kind>(
  shape: EntryShape<K>,
  { params, body }: { readonly params: { readonly id: string }; readonly body: unknown },
  call: Call,
): Promise<Answer | Problem> {
  const { kind, guard, stored = (same) => same as Partial<Fields[K]> } = shape;
  const { registry } = call.services;
  const tenant = tenantOf(shape, call.tenant);
  for (let tries = 1; ; tries++) {
    const found = guard === undefined ? undefined : await registry.get(kind, tenant, params.id);
    if (found?.ok === false) return registryProblem(found.error);
    const before = found?.value;
    const forbids = before && (await guard!({ id: params.id, body: body as Body, before }, call));
    if (forbids !== undefined) return forbids;
    const changed = await registry.update(kind, tenant, params.id, stored(body as Body), call.ifMatch ?? before?.version);
    if (changed.ok) return ok(viewOf(shape, changed.value), changed.value.version);
    if (changed.error.code !== 'conflict' || call.ifMatch !== undefined || tries === maxTries) return registryProblem(changed.error);
  }
}
