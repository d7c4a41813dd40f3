// Approvals: changes that wait for a second person (separation of duties).

import { Type } from 'typebox';
import type { Entry } from '../../registry/entries.ts';
import { systemScope } from '../../registry/entries.ts';
import type { Approvals } from './approvals.ts';
import { approvalView } from './approvals.ts';
import { localCaller } from './caller.ts';
import { forbidden, notFound, Problem, registryProblem } from './problem.ts';
import { ok, route, type Call, type RouteSpec } from './route.ts';
import { choice, head, idParams, moment, object, pageOf, pageQuery } from './schemas.ts';

const { tenant: _, ...ownHead } = head;
const approval = object({
  ...ownHead,
  status: choice(['pending', 'approved', 'refused'], 'approved: it was carried out, or tried.'),
  requestedBy: Type.String({ description: 'tenant/id.' }),
  decidedBy: Type.Optional(Type.String({ description: 'tenant/id.' })),
  summary: Type.String({ description: 'What is asked, in words.' }),
  request: Type.Unknown({ description: 'What will be carried out, exactly.' }),
  expiresAtMs: moment('When it can no longer be approved.'),
});

const list = route({
  method: 'GET',
  path: '/approvals',
  operation: 'listApprovals',
  summary: 'Changes that wait, or waited, for a second person',
  permission: 'approvals:read',
  scope: 'node',
  query: object({ ...pageQuery, status: Type.Optional(choice(['pending', 'approved', 'refused'], 'Only these.')) }),
  answers: { 200: pageOf(approval, 'A page.') },
  async handle({ query: { status, ...query } }, { services }) {
    const page = await services.registry.list('approval', systemScope, query);
    if (!page.ok) return registryProblem(page.error);
    const entries = page.value.entries.filter((entry) => status === undefined || entry.status === status);
    return ok({ entries: entries.map(approvalView), next: page.value.next });
  },
});

const get = route({
  method: 'GET',
  path: '/approvals/{id}',
  operation: 'getApproval',
  summary: 'One of them',
  permission: 'approvals:read',
  scope: 'node',
  params: idParams,
  answers: { 200: { description: 'As it is now.', schema: approval } },
  async handle({ params }, { services }) {
    const found = await services.registry.get('approval', systemScope, params.id);
    if (!found.ok) return registryProblem(found.error);
    return found.value === undefined ? notFound(`approval ${params.id}`) : ok(approvalView(found.value), found.value.version);
  },
});

async function pending(id: string, { services }: Call): Promise<Entry<'approval'> | Problem> {
  const found = await services.registry.get('approval', systemScope, id);
  if (!found.ok) return registryProblem(found.error);
  if (found.value === undefined) return notFound(`approval ${id}`);
  if (found.value.status !== 'pending') return new Problem(409, 'decided', `it is ${found.value.status} already`);
  return found.value;
}

/** What was asked for by who is kept out by now may be what it is kept out for. One that the registry does not know is signed in elsewhere. */
async function requesterGone({ requestedBy }: Entry<'approval'>, { services }: Call): Promise<Problem | undefined> {
  const [tenant = '', name = ''] = requestedBy.split('/');
  const found = await services.registry.principal(tenant, name);
  if (!found.ok) return registryProblem(found.error);
  if (found.value?.entry.status !== 'disabled') return undefined;
  return new Problem(409, 'requester-disabled', `${requestedBy}, who asked for it, is disabled: ask for it yourself`);
}

const target = ({ params }: { params: { id: string } }): string => `approval/${params.id}`;

/** The routes need who carries out what was approved. */
export function approvalRoutes(approvals: Approvals): readonly RouteSpec[] {
  const approve = route({
    method: 'POST',
    path: '/approvals/{id}/approve',
    operation: 'approve',
    summary: 'Agree to a change: it is carried out as it stands',
    description: 'Whoever asked for it cannot agree to it, and neither can who only shows the token of the data directory.',
    permission: 'approvals:write',
    scope: 'node',
    params: idParams,
    answers: {
      200: {
        description: 'It was carried out.',
        schema: object({ approval, answer: object({ status: Type.Integer(), body: Type.Optional(Type.Unknown()) }) }),
      },
    },
    audit: { action: 'approval.approve', target },
    async handle({ params }, call) {
      const entry = await pending(params.id, call);
      if (entry instanceof Problem) return entry;
      const { caller, services } = call;
      if (caller.name === localCaller.name)
        return forbidden('the token of the data directory is nobody in particular: sign in as somebody');
      if (caller.name === entry.requestedBy) return forbidden('somebody else must agree to it');
      if (entry.expiresAtMs <= services.clock.wallMs()) return new Problem(409, 'expired', 'it has waited too long: ask again');
      const gone = await requesterGone(entry, call);
      return gone ?? approvals.carryOut(entry, call);
    },
  });
  const refuse = route({
    method: 'POST',
    path: '/approvals/{id}/refuse',
    operation: 'refuse',
    summary: 'Refuse a change; whoever asked for it may take it back this way',
    permission: 'approvals:write',
    scope: 'node',
    params: idParams,
    answers: { 200: { description: 'It will not be carried out.', schema: approval } },
    audit: { action: 'approval.refuse', target },
    async handle({ params }, call) {
      const entry = await pending(params.id, call);
      if (entry instanceof Problem) return entry;
      const fields = { status: 'refused', decidedBy: call.caller.name } as const;
      const changed = await call.services.registry.update('approval', systemScope, entry.id, fields, entry.version);
      return changed.ok ? ok(approvalView(changed.value), changed.value.version) : registryProblem(changed.error);
    },
  });
  return [list, get, approve, refuse];
}
