// What waits and who is there: sessions, their connections, queues and retained messages of the running broker.

import { Type } from 'typebox';
import type { ManagementResult, SessionView } from '../../broker/management.ts';
import type { Message } from '../../message/message.ts';
import { managementProblem, noNode, notFound, Problem } from './problem.ts';
import { done, ok, route, type Answer, type RouteSpec } from './route.ts';
import { choice, moment, object, pageOf, pageQuery } from './schemas.ts';

const maxNameLength = 65_535;
const longName = (description: string) => Type.String({ minLength: 1, maxLength: maxNameLength, description });
const prefix = Type.Optional(Type.String({ maxLength: maxNameLength, description: 'Only names that begin with this.' }));
/** Client ids and names of queues may be long: a cursor is one of them. */
const longPages = {
  ...pageQuery,
  after: Type.Optional(Type.String({ maxLength: maxNameLength, description: '`next` of the page before.' })),
};

const session = object({
  tenant: Type.String(),
  clientId: longName('Names the session within the tenant.'),
  principal: Type.String(),
  protocol: Type.String(),
  connected: Type.Boolean(),
  isPart: Type.Boolean({ description: 'It is a link: a part of a connection, which is a session of its own.' }),
  partOf: Type.Optional(Type.String({ description: 'Client id of the session of that connection.' })),
  durable: Type.Boolean({ description: 'It outlives its connection, and a restart.' }),
  remoteAddress: Type.Optional(Type.String()),
  listener: Type.Optional(Type.String()),
  connectedAtMs: Type.Optional(moment('When it was connected last.')),
  disconnectedAtMs: Type.Optional(moment('When its connection ended.')),
  expiryMs: Type.Optional(Type.Number({ description: 'How long it outlives its connection; absent: for ever.' })),
  subscriptions: Type.Integer(),
  queuedMessages: Type.Integer(),
  queuedBytes: Type.Integer(),
  unsettled: Type.Integer({ description: 'Delivered, and not acknowledged yet.' }),
});

function sessionView({ expiryMs, ...rest }: SessionView): object {
  return Number.isFinite(expiryMs) ? { ...rest, expiryMs } : rest;
}

const clientParams = object({ clientId: longName('Client id, percent-encoded.') });

const listSessions = route({
  method: 'GET',
  path: '/sessions',
  operation: 'listSessions',
  summary: 'Sessions, in the order of their client ids',
  permission: 'sessions:read',
  scope: 'tenant',
  query: object({
    ...longPages,
    prefix,
    connected: Type.Optional(Type.Boolean({ description: 'Only those that are, or are not, connected.' })),
    principal: Type.Optional(Type.String({ maxLength: 128, description: 'Only those of this principal.' })),
  }),
  answers: { 200: pageOf(session, 'A page of sessions.') },
  handle({ query }, { tenant, services }) {
    const page = services.broker?.()?.sessions(tenant, query as never);
    return page === undefined ? noNode : ok({ entries: page.entries.map(sessionView), next: page.next });
  },
});

const subscription = object({
  filter: Type.String(),
  guarantee: Type.Integer({ description: 'At most this: 0, 1 or 2.' }),
  noLocal: Type.Boolean(),
});

const getSession = route({
  method: 'GET',
  path: '/sessions/{clientId}',
  operation: 'getSession',
  summary: 'One session, with its subscriptions',
  permission: 'sessions:read',
  scope: 'tenant',
  params: clientParams,
  answers: {
    200: { description: 'The session.', schema: object({ ...session.properties, filters: Type.Array(subscription) }) },
  },
  handle({ params }, { tenant, services }) {
    const broker = services.broker?.();
    if (broker === undefined) return noNode;
    const found = broker.session(tenant, params.clientId);
    if (found === undefined) return notFound(`session of ${shortOf(params.clientId)}`);
    return ok({ ...sessionView(found.session), filters: found.subscriptions });
  },
});

const count = object({ messages: Type.Integer({ description: 'How many messages it was.' }) });

const endSession = route({
  method: 'DELETE',
  path: '/sessions/{clientId}',
  operation: 'endSession',
  summary: 'End a session with its queue: what waits in it is lost, and counted',
  permission: 'sessions:write',
  scope: 'tenant',
  params: clientParams,
  answers: { 200: { description: 'It is gone, for certain.', schema: count } },
  audit: { action: 'session.end', target: ({ params }, tenant) => `session/${tenant}/${shortOf(params.clientId)}` },
  async handle({ params }, { tenant, services }) {
    const ended = await services.broker?.()?.endSession(tenant, params.clientId);
    if (ended === undefined) return noNode;
    return ended.ok ? { ...ok(ended.value), details: { messages: ended.value.messages } } : managementProblem(ended.error);
  },
});

const listConnections = route({
  method: 'GET',
  path: '/connections',
  operation: 'listConnections',
  summary: 'Sessions that are connected',
  permission: 'connections:read',
  scope: 'tenant',
  query: object({
    ...longPages,
    prefix,
    principal: Type.Optional(Type.String({ maxLength: 128, description: 'Only those of this principal.' })),
  }),
  answers: { 200: pageOf(session, 'A page.') },
  handle({ query }, { tenant, services }) {
    const page = services.broker?.()?.sessions(tenant, { ...query, connected: true, parts: false } as never);
    return page === undefined ? noNode : ok({ entries: page.entries.map(sessionView), next: page.next });
  },
});

const disconnect = route({
  method: 'DELETE',
  path: '/connections/{clientId}',
  operation: 'disconnect',
  summary: 'End a connection; a durable session stays',
  permission: 'connections:write',
  scope: 'tenant',
  params: clientParams,
  answers: { 204: { description: 'It is told to leave, and cut.' } },
  audit: { action: 'connection.end', target: ({ params }, tenant) => `session/${tenant}/${shortOf(params.clientId)}` },
  handle({ params }, { tenant, services }) {
    const broker = services.broker?.();
    if (broker === undefined) return noNode;
    return broker.disconnect(tenant, params.clientId, 'administrative') ? done : notFound(`connection of ${shortOf(params.clientId)}`);
  },
});

/** As much of a name as belongs into a log. */
function shortOf(name: string): string {
  return name.slice(0, 256);
}

const queue = object({
  tenant: Type.String(),
  name: longName('`$queue/jobs`, `$share/group/filter`, or `inbox/` and a client id.'),
  kind: choice(['inbox', 'shared', 'named', 'delayed'], 'What it is. delayed: of messages whose time has not come.'),
  durable: Type.Boolean(),
  messages: Type.Integer(),
  bytes: Type.Integer(),
  consumers: Type.Integer(),
  unsettled: Type.Integer({ description: 'With a consumer, and not acknowledged yet.' }),
  priorities: Type.Boolean({ description: 'Higher priorities are delivered first.' }),
  singleActive: Type.Boolean({ description: 'One consumer at a time gets the messages.' }),
  maxDeliveries: Type.Integer({ description: 'How often delivering a message may fail; then it is dead. 0: without limit.' }),
  deadLetterQueue: Type.Optional(Type.String({ description: 'Named queue for dead messages. Absent: they are dropped.' })),
  deadLettered: Type.Integer({ description: 'Messages that went there since the start of the node.' }),
  leaving: Type.Integer({ description: 'On their way to another queue, such as dead messages for which there is no room there yet.' }),
});

const listQueues = route({
  method: 'GET',
  path: '/queues',
  operation: 'listQueues',
  summary: 'Queues, in the order of their names',
  permission: 'queues:read',
  scope: 'tenant',
  query: object({ ...longPages, prefix }),
  answers: { 200: pageOf(queue, 'A page of queues.') },
  handle({ query }, { tenant, services }) {
    const page = services.broker?.()?.queues(tenant, query as never);
    return page === undefined ? noNode : ok(page);
  },
});

/** Of a payload; of a longer one the rest is left out, and the length told. */
const shownPayloadBytes = 64 * 1024;
/** Messages on a page: with their payloads they must not become too much. */
const maxBrowsed = 100;

const message = {
  topic: Type.String(),
  payload: Type.String({ description: `Base64; the first ${shownPayloadBytes} bytes.` }),
  payloadBytes: Type.Integer({ description: 'Length of the whole payload.' }),
  guarantee: Type.Integer(),
  retain: Type.Boolean(),
  sender: Type.String({ description: 'Principal that sent it.' }),
  acceptedAtMs: moment('When the broker took it.'),
  expiresAtMs: Type.Optional(moment('When it becomes worthless.')),
  contentType: Type.Optional(Type.String()),
  priority: Type.Integer({ description: '0 to 9.' }),
  groupId: Type.Optional(Type.String({ description: 'Its messages go to one consumer.' })),
  deliverAtMs: Type.Optional(moment('When it is, or was, to be delivered.')),
  death: Type.Optional(
    object({
      reason: Type.String({ description: 'Why it is dead: rejected, expired, delivery-limit, undeliverable, or what its consumer said.' }),
      description: Type.Optional(Type.String()),
      from: Type.String({ description: 'The queue in which it died.' }),
      diedAtMs: moment('When.'),
    }),
  ),
};

function messageView(each: Message): object {
  const { topic, buffer, start, end, guarantee, retain, priority, sender, acceptedAtMs, expiresAtMs, attributes } = each;
  return {
    topic,
    payload: Buffer.from(buffer.subarray(start, Math.min(end, start + shownPayloadBytes))).toString('base64'),
    payloadBytes: end - start,
    guarantee,
    retain,
    sender,
    acceptedAtMs,
    ...(expiresAtMs !== 0 && { expiresAtMs }),
    ...(attributes?.contentType !== undefined && { contentType: attributes.contentType }),
    priority,
    ...(attributes?.groupId !== undefined && { groupId: attributes.groupId }),
    ...(attributes?.deliverAtMs !== undefined && { deliverAtMs: attributes.deliverAtMs }),
    ...(attributes?.death !== undefined && { death: attributes.death }),
  };
}

const deliveryCount = Type.Integer({ description: 'How often delivering it has failed.' });

const messagePages = {
  ...longPages,
  limit: Type.Optional(Type.Integer({ minimum: 1, maximum: maxBrowsed, default: 20, description: 'Most messages of the page.' })),
};
const queueParams = object({ name: longName('Name of the queue, percent-encoded.') });
const queueTarget = ({ params }: { params: { name: string } }, tenant: string): string => `queue/${tenant}/${shortOf(params.name)}`;

const browse = route({
  method: 'GET',
  path: '/queues/{name}/messages',
  operation: 'browseQueue',
  summary: 'Messages that wait, oldest first; they stay where they are',
  permission: 'queues:read',
  scope: 'tenant',
  params: queueParams,
  query: object(messagePages),
  answers: {
    200: pageOf(object({ position: Type.String(), unsettled: Type.Boolean(), deliveryCount, ...message }), 'A page of messages.'),
  },
  // Payloads are what the broker keeps for others: who looks at them is on record.
  audit: { action: 'queue.browse', target: queueTarget },
  async handle({ params, query }, { tenant, services }) {
    const page = await services.broker?.()?.browse(tenant, params.name, query as never);
    if (page === undefined) return noNode;
    if (!page.ok) return managementProblem(page.error);
    const entries = page.value.entries.map(({ message: each, ...rest }) => ({ ...rest, ...messageView(each) }));
    return ok({ entries, next: page.value.next });
  },
});

const purge = route({
  method: 'POST',
  path: '/queues/{name}/purge',
  operation: 'purgeQueue',
  summary: 'Drop what waits in a queue; what is with a consumer stays',
  permission: 'queues:write',
  scope: 'tenant',
  params: queueParams,
  answers: { 200: { description: 'It is dropped, for certain, and counted.', schema: count } },
  audit: { action: 'queue.purge', target: queueTarget },
  async handle({ params }, { tenant, services }) {
    return counted(await services.broker?.()?.purge(tenant, params.name));
  },
});

function counted(result: ManagementResult<{ readonly messages: number }> | undefined): Answer | Problem {
  if (result === undefined) return noNode;
  return result.ok ? { ...ok(result.value), details: { messages: result.value.messages } } : managementProblem(result.error);
}

const move = route({
  method: 'POST',
  path: '/queues/{name}/move',
  operation: 'moveMessages',
  summary: 'Put what waits in a queue, oldest first, behind what waits in another',
  permission: 'queues:write',
  scope: 'tenant',
  params: queueParams,
  body: object({
    to: longName('Name of the other queue.'),
    maxMessages: Type.Optional(
      Type.Integer({ minimum: 1, maximum: 1_000_000, default: 10_000, description: 'How many at most; 10,000 when absent.' }),
    ),
  }),
  answers: { 200: { description: 'They are there, for certain.', schema: count } },
  audit: { action: 'queue.move', target: queueTarget },
  async handle({ params, body }, { tenant, services }) {
    const answer = counted(await services.broker?.()?.move(tenant, params.name, body.to, body.maxMessages ?? 10_000));
    return answer instanceof Problem ? answer : { ...answer, details: { ...answer.details, to: shortOf(body.to) } };
  },
});

const listRetained = route({
  method: 'GET',
  path: '/retained',
  operation: 'listRetained',
  summary: 'Retained messages, in the order of their topics',
  permission: 'retained:read',
  scope: 'tenant',
  query: object({
    ...messagePages,
    filter: Type.Optional(
      Type.String({ minLength: 1, maxLength: maxNameLength, default: '#', description: 'Topics that match this filter.' }),
    ),
  }),
  answers: { 200: pageOf(object(message), 'A page of messages.') },
  audit: { action: 'retained.browse', target: ({ query }, tenant) => `retained/${tenant}/${shortOf(query.filter ?? '#')}` },
  async handle({ query: { filter = '#', ...page } }, { tenant, services }) {
    const found = await services.broker?.()?.retained(tenant, filter, page as never);
    return found === undefined ? noNode : ok({ entries: found.entries.map(messageView), next: found.next });
  },
});

const clearRetained = route({
  method: 'DELETE',
  path: '/retained',
  operation: 'clearRetained',
  summary: 'Drop the retained message of a topic',
  permission: 'retained:write',
  scope: 'tenant',
  query: object({ topic: longName('The topic.') }),
  answers: { 204: { description: 'There is none any more, for certain.' } },
  audit: { action: 'retained.clear', target: ({ query }, tenant) => `retained/${tenant}/${shortOf(query.topic)}` },
  async handle({ query }, { tenant, services }) {
    const cleared = await services.broker?.()?.clearRetained(tenant, query.topic);
    if (cleared === undefined) return noNode;
    if (!cleared.ok) return managementProblem(cleared.error);
    return cleared.value ? done : notFound(`retained message of ${shortOf(query.topic)}`);
  },
});

export const brokerRoutes: readonly RouteSpec[] = [
  listSessions,
  getSession,
  endSession,
  listConnections,
  disconnect,
  listQueues,
  browse,
  purge,
  move,
  listRetained,
  clearRetained,
];
