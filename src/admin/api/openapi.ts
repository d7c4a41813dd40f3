// The description of the API (OpenAPI 3.1), made of the routes and the schemas that check requests.

import type { FastifySchema } from 'fastify';
import { Type, type TObject } from 'typebox';
import type { RouteSpec } from './route.ts';
import { object, problemSchema, tenantName } from './schemas.ts';

export function openApiOptions(): object {
  return {
    openapi: {
      openapi: '3.1.0',
      info: {
        title: 'Heliograph management API',
        version: '1',
        license: { name: 'Apache-2.0', identifier: 'Apache-2.0' },
        description: 'Every command of the command line asks this API. Errors are problem documents (RFC 9457).',
      },
      servers: [{ url: '/' }],
      components: {
        securitySchemes: {
          basic: { type: 'http', scheme: 'basic', description: 'A user and its password.' },
          bearer: {
            type: 'http',
            scheme: 'bearer',
            description: 'An API token (POST /api/v1/tokens), a JWT, or the token of this start in the data directory.',
          },
          certificate: { type: 'mutualTLS', description: 'On https listeners that ask for a certificate.' },
        },
      },
      security: [{ basic: [] }, { bearer: [] }, { certificate: [] }],
    },
  };
}

/** What fastify is told of a route; only the description reads it. */
export function routeSchema(spec: RouteSpec): FastifySchema {
  const { operation, summary, description, permission, params, body, takes, gives, answers, scope, method } = spec;
  const response: Record<string, unknown> = {};
  for (const [status, { description: said, schema }] of Object.entries(answers)) {
    const type = gives ?? 'application/json';
    response[status] = { description: said, ...(schema !== undefined && { content: { [type]: { schema } } }) };
  }
  if (spec.duty !== undefined) response['202'] = { description: 'It waits for a second person; Location names the approval.' };
  const query = queryOf(spec.query, scope === 'tenant');
  return {
    operationId: operation,
    summary,
    description: [description, `Permission: \`${permission}\`.`, scope === 'system' ? 'For administrators of the whole system.' : undefined]
      .filter((part) => part !== undefined)
      .join(' '),
    tags: [permission.split(':')[0]!],
    ...(params !== undefined && { params }),
    ...(query !== undefined && { querystring: query }),
    ...(body !== undefined && { body }),
    ...(takes !== undefined && {
      consumes: takes,
      body: { content: Object.fromEntries(takes.map((type) => [type, { schema: Type.String() }])) },
    }),
    ...(method === 'POST' && takes === undefined && { headers: idempotencyHeader }),
    ...((method === 'PATCH' || method === 'DELETE') && { headers: versionHeader }),
    response,
  } as FastifySchema;
}

const idempotencyHeader = Type.Object({
  'idempotency-key': Type.Optional(
    Type.String({
      minLength: 1,
      maxLength: 255,
      description: 'Sent again with the same key, the request is done once and answered alike, for 24 hours.',
    }),
  ),
});

const versionHeader = Type.Object({
  'if-match': Type.Optional(Type.String({ description: 'The ETag of what was seen: refused (412) when it was changed since.' })),
});

type Described = {
  readonly paths: Readonly<Record<string, Readonly<Record<string, { responses: Record<string, unknown> }>>>>;
  readonly components: Record<string, unknown>;
};

/** What every route may answer stands in it once. */
export function withProblems(description: object): object {
  const { paths, components, ...rest } = description as Described;
  for (const methods of Object.values(paths)) {
    for (const each of Object.values(methods)) each.responses['default'] = { $ref: '#/components/responses/Problem' };
  }
  const content = { 'application/problem+json': { schema: JSON.parse(JSON.stringify(problemSchema)) as unknown } };
  const responses = { Problem: { description: 'It was refused, or went wrong.', content } };
  const { schemas: _, ...others } = components;
  return { ...rest, components: { ...others, responses }, paths };
}

function queryOf(query: TObject | undefined, hasTenant: boolean): TObject | undefined {
  if (!hasTenant) return query;
  return object({ tenant: Type.Optional(tenantName), ...query?.properties });
}
