// The nodes that the broker itself answers at, for the links of one connection. A request comes on a link to the node; its answer
// goes to the link from the same node whose target is the address of `reply-to`, or whose name it is (Azure's clients), or, where
// there is none, as a message to that address, with the rights of who asked.

import { Message, defaultPriority } from '../../../message/message.ts';
import { Outcome } from '../../../broker/port.ts';
import type { ServiceNode } from '../address.ts';
import { topicOfTo } from '../address.ts';
import { AmqpFault, Condition } from '../codec/index.ts';
import { IncomingMessage } from '../convert.ts';
import type { LinkHost } from '../link.ts';
import type { NodeAnswer, NodeRequest } from './service-message.ts';
import { writeAnswer } from './service-message.ts';
import type { ServiceSource } from './service-source.ts';

/** What a node does. One object for all connections. */
export interface NodeHandler {
  /** `answer` is called once, now or later. `host` is the link that the request came on. */
  handle(request: NodeRequest, host: LinkHost, answer: (answer: NodeAnswer) => void): void;
}

export type NodeHandlers = Readonly<Record<ServiceNode, NodeHandler>>;

/** Links of one connection to nodes of the broker, of each direction. */
const maxLinks = 16;

const text = new TextEncoder();
const converted = new IncomingMessage();

export class ServiceNodes {
  readonly #handlers: NodeHandlers;
  readonly #sources = new Set<ServiceSource>();
  /** Links that ask; those that are over are found out when it matters. */
  readonly #targets = new Set<LinkHost>();

  constructor(handlers: NodeHandlers) {
    this.#handlers = handlers;
  }

  /** As many links as may be: another one would cost what an answer, or a request that is not whole, may take. */
  isFull(direction: 'in' | 'out'): boolean {
    if (direction === 'out') return this.#sources.size >= maxLinks;
    for (const host of this.#targets) if (!host.isAttached) this.#targets.delete(host);
    return this.#targets.size >= maxLinks;
  }

  targetCame(host: LinkHost): void {
    this.#targets.add(host);
  }

  join(source: ServiceSource): void {
    this.#sources.add(source);
  }

  leave(source: ServiceSource): void {
    this.#sources.delete(source);
  }

  /** `done` is called when the answer is on its way, or cannot be given; then with why. */
  ask(node: ServiceNode, request: NodeRequest, host: LinkHost, done: (fault: AmqpFault | undefined) => void): void {
    this.#handlers[node].handle(request, host, (answer) => done(this.#reply(node, request, answer, host)));
  }

  #reply(node: ServiceNode, request: NodeRequest, answer: NodeAnswer, host: LinkHost): AmqpFault | undefined {
    const { replyTo } = request;
    const bytes = writeAnswer(request, answer);
    let fallback: ServiceSource | undefined;
    for (const source of this.#sources) {
      if (source.node !== node) continue;
      if (source.address === replyTo || source.name === replyTo) return source.send(bytes) ? undefined : tooSlow;
      fallback = source;
    }
    // CBS knows only one way of answers, and some clients say nothing of where they want them.
    if (replyTo === undefined) {
      if (fallback === undefined) return new AmqpFault(Condition.invalidField, 'the request has no reply-to');
      return fallback.send(bytes) ? undefined : tooSlow;
    }
    return publish(replyTo, bytes, host);
  }
}

const tooSlow = new AmqpFault(Condition.resourceLimitExceeded, 'too many answers wait for credit');

function publish(replyTo: string, bytes: Uint8Array, host: LinkHost): AmqpFault | undefined {
  const { server, connectionSession, principal } = host;
  const { plainAddress } = server.options;
  const topic = topicOfTo(replyTo, undefined, server.options);
  if (topic instanceof AmqpFault) return topic;
  const nowMs = server.clock.wallMs();
  const fault = converted.read(bytes, 0, bytes.length, 0, nowMs, plainAddress);
  if (fault !== undefined) return fault;
  const topicBytes = text.encode(topic);
  const address = connectionSession.address(topic, topicBytes);
  if (address.outcome !== Outcome.accepted)
    return new AmqpFault(Condition.unauthorizedAccess, 'reply-to is not an address that you may send to');
  const { payloadStart, payloadEnd, attributes } = converted;
  const message = new Message(
    topic,
    topicBytes,
    bytes,
    payloadStart,
    payloadEnd,
    1,
    false,
    defaultPriority,
    0,
    nowMs,
    principal.id,
    attributes,
  );
  const outcome = connectionSession.publish(address, message, 0);
  if (outcome === Outcome.accepted || outcome === Outcome.pending || outcome === Outcome.noSubscribers) return undefined;
  return new AmqpFault(Condition.resourceLimitExceeded, 'the answer cannot be sent to the address of reply-to');
}
