// The node as a whole: its state, its listeners, its configuration, its audit log.

import { Type } from 'typebox';
import { noNode, Problem } from './problem.ts';
import { ok, route, type RouteSpec } from './route.ts';
import { choice, moment, object, pageQuery } from './schemas.ts';

const anything = (description: string) => Type.Record(Type.String(), Type.Unknown(), { description });

const status = route({
  method: 'GET',
  path: '/status',
  operation: 'getStatus',
  summary: 'The state of the node, with its books',
  permission: 'status:read',
  scope: 'node',
  answers: {
    200: { description: 'As it is now.', schema: anything('State, listeners, sessions, books, journal, tenants, certificates.') },
  },
  handle: (_input, { services }) => (services.status === undefined ? noNode : ok(services.status())),
});

const listener = object({
  name: Type.String(),
  kind: Type.String(),
  host: Type.String(),
  port: Type.Integer(),
  connections: Type.Optional(Type.Integer({ description: 'Open now.' })),
  accepted: Type.Optional(Type.Integer()),
  refused: Type.Optional(Type.Integer()),
});

const listeners = route({
  method: 'GET',
  path: '/listeners',
  operation: 'listListeners',
  summary: 'Where the node listens, with the ports that the system chose',
  permission: 'listeners:read',
  scope: 'node',
  answers: {
    200: {
      description: 'All of them.',
      schema: object({ entries: Type.Array(Type.Intersect([listener, Type.Record(Type.String(), Type.Unknown())])) }),
    },
  },
  handle: (_input, { services }) => (services.status === undefined ? noNode : ok({ entries: services.status().listeners })),
});

const config = route({
  method: 'GET',
  path: '/config',
  operation: 'getConfig',
  summary: 'The configuration in force, with defaults; secrets are hidden',
  permission: 'config:read',
  scope: 'node',
  answers: { 200: { description: 'Every setting.', schema: anything('As in the file, complete.') } },
  handle: (_input, { services }) => ok(services.config()),
});

const auditQuery = {
  fromMs: Type.Optional(moment('Not before.')),
  untilMs: Type.Optional(moment('Before.')),
  action: Type.Optional(Type.String({ maxLength: 128, description: 'Only actions that begin with this.' })),
  target: Type.Optional(Type.String({ maxLength: 512, description: 'Only targets that begin with this.' })),
  actor: Type.Optional(Type.String({ maxLength: 300, description: 'Only what this one did: `main/alice`, `(local)`.' })),
  outcome: Type.Optional(choice(['done', 'refused', 'failed'], 'Only these.')),
};

const listAudit = route({
  method: 'GET',
  path: '/audit',
  operation: 'listAudit',
  summary: 'What was done, by whom, and whether it went through: oldest first',
  permission: 'audit:read',
  scope: 'node',
  query: object({
    ...pageQuery,
    after: Type.Optional(Type.Integer({ minimum: 0, description: '`next` of the page before.' })),
    last: Type.Optional(Type.Integer({ minimum: 1, maximum: 1000, description: 'Only so many, the newest; not with limit and after.' })),
    ...auditQuery,
  }),
  answers: {
    200: {
      description: 'A page.',
      schema: object({
        entries: Type.Array(anything('An entry.')),
        next: Type.Optional(Type.Integer({ description: 'Give it as `after`.' })),
      }),
    },
  },
  async handle({ query: { limit = 100, after, last, ...query } }, { services: { auditReader: reader } }) {
    if (reader === undefined) return noLog;
    return ok(last === undefined ? await reader.page({ ...query, afterSeq: after }, limit) : { entries: await reader.last(query, last) });
  },
});

const noLog = new Problem(503, 'no-audit-log', 'there is no audit log here');

const exportAudit = route({
  method: 'GET',
  path: '/audit:export',
  operation: 'exportAudit',
  summary: 'The audit log as JSON lines',
  permission: 'audit:read',
  scope: 'node',
  query: object(auditQuery),
  answers: { 200: { description: 'A JSON document a line.', schema: Type.String() } },
  gives: 'application/x-ndjson',
  audit: { action: 'audit.export', target: () => '' },
  handle({ query }, { services }) {
    const reader = services.auditReader;
    return reader === undefined ? noLog : { status: 200, stream: linesOf(reader.entries(query)) };
  },
});

async function* linesOf(entries: AsyncIterable<object>): AsyncGenerator<string> {
  for await (const entry of entries) yield `${JSON.stringify(entry)}\n`;
}

const auditHead = object({
  seq: Type.Integer({ minimum: 0, description: 'Number of the line.' }),
  hash: Type.String({ pattern: '^[0-9a-f]{64}$', description: 'SHA-256 of the line.' }),
});

const verifyAudit = route({
  method: 'POST',
  path: '/audit:verify',
  operation: 'verifyAudit',
  summary: 'Read the whole audit log again: is every entry there, unchanged and in its order?',
  permission: 'audit:read',
  scope: 'node',
  body: object({ head: Type.Optional(auditHead) }),
  answers: { 200: { description: 'What was found.', schema: anything('The report.') } },
  handle: async ({ body }, { services }) => (services.auditReader === undefined ? noLog : ok(await services.auditReader.verify(body.head))),
});

const headOfAudit = route({
  method: 'GET',
  path: '/audit:head',
  operation: 'getAuditHead',
  summary: 'Where the audit log ends: kept elsewhere, it proves later that nothing was cut off',
  permission: 'audit:read',
  scope: 'node',
  answers: { 200: { description: 'The last line.', schema: auditHead } },
  handle: async (_input, { services }) => (services.auditReader === undefined ? noLog : ok(await services.auditReader.head())),
});

export const nodeRoutes: readonly RouteSpec[] = [status, listeners, config, listAudit, exportAudit, headOfAudit, verifyAudit];
