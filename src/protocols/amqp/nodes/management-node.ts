// `$management`: what tools of AMQP ask a broker (AMQP Management, working draft 9, chapter 3). What may be seen and done is what
// the management interface lets the same principal see and do; beyond that everybody may see its own sessions.

import type { ManagementResult } from '../../../broker/management.ts';
import type { Principal } from '../../../security/security.ts';
import type { ManagementDesk, ManagementEvent } from '../../management-desk.ts';
import { type AmqpValue, nullValue, stringValue, trueValue } from '../codec/index.ts';
import type { LinkHost } from '../link.ts';
import { type Attributes, entityKinds, type EntityKind, kindOf, type ManagedRight, queueKind } from './managed-entities.ts';
import type { NodeHandler } from './service-nodes.ts';
import { intOf, listOf, mapOf, type NodeAnswer, type NodeRequest, numberOf, textOf } from './service-message.ts';

const selfType = 'org.amqp.management';
const managementAddress = '$management';
const queuePrefix = '$queue/';
/** Most entities in one answer. */
const maxResults = 1000;
/** Pages that are looked through for entities that suit: each costs a look at all sessions. Beyond them nothing is shown. */
const maxPages = 5;
/** Names that one query may ask for: a row of the answer has as many values. */
const maxNames = 64;

function fails(status: number, description: string): NodeAnswer {
  return { status, description };
}

function succeeds(body: AmqpValue, status = 200): NodeAnswer {
  return { status, description: 'OK', body };
}

const notAllowed = fails(403, 'you may not');
const noSuchEntity = fails(404, 'there is no such entity');
/** In the answer to a query: there is more than it says, and the one who asked has not asked for less. */
const incompleteProperty = 'heliograph:incomplete';

const noSuchType = fails(400, 'there is no such type of entity');

export class ManagementNode implements NodeHandler {
  readonly #desk: ManagementDesk | undefined;

  /** Without a desk nothing can be asked. */
  constructor(desk: ManagementDesk | undefined) {
    this.#desk = desk;
  }

  handle(request: NodeRequest, host: LinkHost, answer: (answer: NodeAnswer) => void): void {
    if (this.#desk === undefined) return answer(fails(501, 'this node is not managed by AMQP'));
    const operation = textOf(request.properties.get('operation')) ?? '';
    const asked = new Asked(this.#desk, request, host);
    switch (operation) {
      case 'QUERY':
        return answer(asked.query());
      case 'READ':
        return answer(asked.read());
      case 'GET-TYPES':
        return answer(asked.about(() => listOf([])));
      case 'GET-ATTRIBUTES':
        return answer(asked.about(({ attributes }) => listOf(attributes.map(stringValue))));
      case 'GET-OPERATIONS':
        return answer(asked.about(({ operations }) => mapOf(Object.fromEntries(operations.map((name) => [name, listOf([])])))));
      case 'GET-MGMT-NODES':
        return answer(succeeds(listOf([stringValue(managementAddress)])));
      case 'CREATE':
      case 'DELETE':
      case 'PURGE':
        return void asked.change(operation).then(answer);
      default:
        return answer(fails(501, 'there is no such operation'));
    }
  }
}

/** One question, and who asks it. */
class Asked {
  readonly #desk: ManagementDesk;
  readonly #request: NodeRequest;
  readonly #host: LinkHost;
  readonly #principal: Principal;

  constructor(desk: ManagementDesk, request: NodeRequest, host: LinkHost) {
    this.#desk = desk;
    this.#request = request;
    this.#host = host;
    this.#principal = host.principal;
  }

  #may(right: ManagedRight): boolean {
    return this.#host.server.security.allows(this.#principal, 'manage', right);
  }

  /** Who may not see all of a kind sees its own. */
  #ownerOf({ right }: EntityKind): string | undefined {
    return this.#may(right) ? undefined : this.#principal.id;
  }

  #text(name: string): string | undefined {
    return textOf(this.#request.properties.get(name));
  }

  about(tell: (kind: EntityKind) => AmqpValue): NodeAnswer {
    const type = this.#text('entityType');
    const kind = type === undefined ? undefined : kindOf(type);
    if (type !== undefined && kind === undefined) return noSuchType;
    const kinds = kind === undefined ? entityKinds : [kind];
    return succeeds(mapOf(Object.fromEntries(kinds.map((each) => [each.type, tell(each)]))));
  }

  query(): NodeAnswer {
    const type = this.#text('entityType');
    const kind = type === undefined ? undefined : kindOf(type);
    if (kind === undefined) return type === undefined ? fails(400, 'the entityType is missing') : noSuchType;
    if (kind === queueKind && !this.#may(kind.right)) return notAllowed;
    const names = namesIn(this.#request.body, kind);
    if (names === undefined) return fails(400, `the body must be a map with a list of at most ${maxNames} attributeNames`);
    const offset = Math.max(0, numberOf(this.#request.properties.get('offset')) ?? 0);
    const wanted = Math.max(0, numberOf(this.#request.properties.get('count')) ?? Infinity);
    const count = Math.min(maxResults, wanted);
    const { found, hasMore } = this.#collect(kind, offset, count);
    const results = found.map((attributes) => listOf(names.map((name) => attributes.get(name) ?? nullValue)));
    const answer = succeeds(mapOf({ attributeNames: listOf(names.map(stringValue)), results: listOf(results) }));
    const properties = { count: intOf(results.length) };
    if (!hasMore || found.length === wanted) return { ...answer, properties };
    const description = `OK, but this is not all: an answer has at most ${maxResults} entities, of the first ${maxPages * maxResults} of a kind`;
    return { ...answer, description, properties: { ...properties, [incompleteProperty]: trueValue } };
  }

  /** `hasMore`: it has stopped at a bound, behind which there may be more. */
  #collect(kind: EntityKind, offset: number, count: number): { readonly found: readonly Attributes[]; readonly hasMore: boolean } {
    const { tenant } = this.#principal;
    const owner = this.#ownerOf(kind);
    const found: Attributes[] = [];
    let passed = 0;
    let after: string | undefined;
    for (let i = 0; i < maxPages && found.length < count; i++) {
      const { entities, next } = kind.page(this.#desk.management, tenant, { limit: maxResults, after }, owner);
      for (const entity of entities) if (passed++ >= offset && found.length < count) found.push(entity);
      after = next;
      if (next === undefined) break;
    }
    return { found, hasMore: after !== undefined || passed > offset + found.length };
  }

  read(): NodeAnswer {
    const type = this.#text('type') ?? '';
    const name = this.#text('name') ?? this.#text('identity');
    if (type === selfType)
      return succeeds(mapOf({ name: stringValue('self'), identity: stringValue('self'), type: stringValue(selfType) }));
    const kind = kindOf(type);
    if (kind === undefined) return noSuchType;
    if (name === undefined) return fails(400, 'the name is missing');
    if (kind === queueKind && !this.#may(kind.right)) return notAllowed;
    const found = this.#find(kind, name);
    return found === undefined ? noSuchEntity : succeeds(mapOf(Object.fromEntries(found)));
  }

  #find(kind: EntityKind, name: string): Attributes | undefined {
    const { tenant } = this.#principal;
    // Names of queues are told without what stands in front of them.
    const names = kind === queueKind ? [name, queuePrefix + name] : [name];
    for (const prefix of names) {
      const { entities } = kind.page(this.#desk.management, tenant, { limit: 1, prefix }, this.#ownerOf(kind));
      const found = entities.find((attributes) => attributes.get('name')?.value === name);
      if (found !== undefined) return found;
    }
    return undefined;
  }

  async change(operation: 'CREATE' | 'DELETE' | 'PURGE'): Promise<NodeAnswer> {
    const kind = kindOf(this.#text('type') ?? '');
    if (kind === undefined) return noSuchType;
    if (kind !== queueKind) return fails(501, 'only queues can be created, emptied and deleted');
    const name = this.#text('name') ?? this.#text('identity') ?? '';
    if (name === '') return fails(400, 'the name is missing');
    const queue = name.startsWith('$') ? name : queuePrefix + name;
    const event = actions[operation];
    if (!this.#may('queues:write')) {
      this.#record(event, queue, 'refused');
      return notAllowed;
    }
    const { management } = this.#desk;
    const { tenant } = this.#principal;
    if (operation === 'CREATE') return this.#done(event, queue, await management.createQueue(tenant, queue), 201);
    if (operation === 'DELETE') return this.#done(event, queue, await management.deleteQueue(tenant, queue), 204);
    return this.#done(event, queue, await management.purge(tenant, queue), 200);
  }

  #done(
    action: ManagementEvent['action'],
    queue: string,
    result: ManagementResult<{ readonly messages?: number; readonly created?: boolean }>,
    status: number,
  ): NodeAnswer {
    this.#record(action, queue, result.ok ? 'done' : 'failed');
    if (!result.ok) return fails(statusOf[result.error.code], result.error.message);
    const { messages } = result.value;
    if (status === 201) return succeeds(mapOf(Object.fromEntries(this.#find(queueKind, nameOf(queue)) ?? [])), status);
    return succeeds(mapOf(messages === undefined ? {} : { messageCount: intOf(messages) }), status);
  }

  #record(action: ManagementEvent['action'], queue: string, outcome: ManagementEvent['outcome']): void {
    const { tenant } = this.#principal;
    const target = `queue/${tenant}/${queue.slice(0, 256)}`;
    this.#desk.record({ principal: this.#principal, action, target, from: this.#host.facts.remoteAddress, outcome });
  }
}

const actions = { CREATE: 'queue.create', DELETE: 'queue.delete', PURGE: 'queue.purge' } as const;
const statusOf = { 'not-found': 404, busy: 409, full: 507, unavailable: 503 } as const;

function nameOf(queue: string): string {
  return queue.startsWith(queuePrefix) ? queue.slice(queuePrefix.length) : queue;
}

/** The attributes that a query asks for; undefined: it does not say it in the right way. */
function namesIn(body: AmqpValue, { attributes }: EntityKind): readonly string[] | undefined {
  if (body.type === 'null') return attributes;
  if (body.type !== 'map') return undefined;
  const asked = body.value.find(([key]) => key.value === 'attributeNames')?.[1];
  if (asked === undefined || asked.type === 'null') return attributes;
  if (asked.type !== 'list') return undefined;
  if (asked.value.length === 0) return attributes;
  if (asked.value.length > maxNames) return undefined;
  const names = asked.value.map(textOf);
  return names.every((name) => name !== undefined) ? names : undefined;
}
