// Tenants, and what belongs to one as a whole.

import { Type } from 'typebox';
import { entryRoutes } from './entry-routes.ts';
import type { RouteSpec } from './route.ts';
import { choice, count, object, text } from './schemas.ts';

const most = (what: string) => Type.Optional(count(`Most ${what}; absent: no bound but the node's own.`, { minimum: 0 }));

export const quotas = object(
  {
    connections: most('connections'),
    messagesPerSecond: most('messages a second'),
    bytesPerSecond: most('bytes a second'),
    queueMessages: most('messages that wait'),
    queueBytes: most('bytes that wait'),
    subscriptions: most('subscriptions'),
    retainedMessages: most('retained messages'),
    retainedBytes: most('bytes of retained messages'),
  },
  { description: 'Bounds.' },
);

export const tenantRoutes: readonly RouteSpec[] = entryRoutes({
  kind: 'tenant',
  resource: 'tenants',
  many: 'Tenants',
  one: 'Tenant',
  scope: 'system',
  fields: {
    status: choice(['active', 'disabled'], 'disabled: nobody of it comes in.'),
    title: text('What it is, for people.'),
    quotas,
    principalQuotas: quotas,
  },
  query: { status: Type.Optional(choice(['active', 'disabled'], 'Only these.')) },
});
