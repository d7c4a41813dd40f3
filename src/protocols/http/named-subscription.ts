// A subscription that waits for its peer: a lasting session of the broker, named after its principal and `?subscription=`.
//
// An event counts as received when its id comes back: as Last-Event-ID of the next request, or by POST …/ack. Until then it is kept and,
// on the next stream, sent again unless that request has its id. A peer that acknowledges nothing gets as many events as the window
// holds; then the stream ends, which makes a browser come back at once with the last id that it has.

import { Outcome } from '../../broker/port.ts';
import type { CloseReason, Consumer, Session, SubscribeResult } from '../../broker/port.ts';
import type { Message } from '../../message/message.ts';
import { eventText, type EventFormat } from './event-encoder.ts';
import { EventIds, readEventId, type SeenDeliveries } from './event-ids.ts';
import { formatOf, OpenStream, streamGuarantee, tooManyStreams } from './open-stream.ts';
import { badRequest, notFound, problemOf, type Problem } from './problem.ts';
import type { Request } from './request.ts';
import type { HttpServer } from './server.ts';
import { spanMs } from './target.ts';

const maxNameLength = 128;

type Terms = {
  readonly name: string;
  readonly filters: readonly string[];
  readonly format: EventFormat;
  readonly guarantee: 0 | 1;
  readonly selector: string | undefined;
  readonly expiryMs: number;
  readonly seen: SeenDeliveries | undefined;
};

type Sent = { readonly deliveryId: number; readonly epoch: number; readonly position: number };

export function openNamedStream(request: Request, name: string, filters: readonly string[]): void {
  const { counters, options } = request.server;
  if (counters.streams >= options.maxStreams) return request.problem(tooManyStreams);
  const terms = termsOf(request, name, filters);
  if ('status' in terms) return request.problem(terms);
  new NamedSubscription(request, terms).attach();
}

function termsOf(request: Request, name: string, filters: readonly string[]): Terms | Problem {
  const { exchange, query, server } = request;
  if (name === '' || name.length > maxNameLength) return badRequest(`the name of a subscription has 1 to ${maxNameLength} characters`);
  const format = formatOf(request);
  if (typeof format !== 'string') return format;
  const guarantee = streamGuarantee(request);
  if (typeof guarantee !== 'number') return guarantee;
  const expires = query.get('expires');
  const expiryMs = expires === null ? server.options.subscriptionExpiryMs : spanMs(expires);
  if (expiryMs === undefined || expiryMs === 0) return badRequest('expires is a span such as 12h');
  const last = exchange.header('last-event-id') ?? query.get('last-event-id') ?? '';
  const seen = last === '' ? undefined : readEventId(last);
  if (last !== '' && seen === undefined) return badRequest('the Last-Event-ID is none of this API');
  return { name, filters, format, guarantee, selector: query.get('selector') ?? undefined, expiryMs, seen };
}

/** What all deliveries of one queue by a subscription made at one time have in common: kept with it, and given back with each delivery. */
function newEpoch({ random }: HttpServer): number {
  return 1 + random.below(0x0fff_fffe);
}

/** Its positions are those of a queue of its own, and not of the one where the messages of all other filters wait. */
function hasOwnQueue(filter: string): boolean {
  return filter.startsWith('$queue/') || filter.startsWith('$share/');
}

export class NamedSubscription implements Consumer {
  readonly #request: Request;
  readonly #terms: Terms;
  readonly #key: string;
  #session: Session | undefined;
  #isNew = false;
  #asked: readonly string[] = [];
  #stream: OpenStream | undefined;
  #isOver = false;
  readonly #ids = new EventIds();
  /** Written and not acknowledged, in order. */
  #sent: Sent[] = [];
  /** To be settled at the end of the turn: the peer has them from an earlier stream. */
  #had: number[] = [];

  constructor(request: Request, terms: Terms) {
    this.#request = request;
    this.#terms = terms;
    this.#key = keyOf(request, terms.name);
  }

  get congested(): boolean {
    return this.#stream === undefined || this.#stream.isCongested || this.#isFull;
  }

  get #isFull(): boolean {
    return this.#sent.length >= this.#request.server.options.subscriptionWindow || this.#ids.isFull;
  }

  attach(): void {
    const { server, member, visit } = this.#request;
    const { principal } = member;
    const { facts } = visit.peer;
    this.#request.onGone = () => this.#end();
    server.broker.attach(
      {
        principal,
        clientId: server.lastingName(principal, 'subscription', this.#terms.name),
        connectsAs: principal.id,
        protocol: 'HTTP stream',
        remoteAddress: facts.remoteAddress,
        listener: facts.listener,
        cleanStart: false,
        sessionExpiryMs: this.#terms.expiryMs,
        will: undefined,
        receiveMaximum: Math.min(server.options.subscriptionWindow, 65_535),
        maxPacketBytes: Infinity,
      },
      this,
    );
  }

  /** The peer has said that it has these. Returns how many of them were not known yet. */
  acknowledge(seen: SeenDeliveries): number {
    const acknowledged = this.#sent.filter(({ epoch, position }) => seen.has(epoch, position));
    if (acknowledged.length === 0) return 0;
    this.#sent = this.#sent.filter(({ epoch, position }) => !seen.has(epoch, position));
    this.#ids.drop(seen);
    for (const { deliveryId } of acknowledged) this.#session?.settle(deliveryId, 'accepted');
    this.#session?.resume();
    return acknowledged.length;
  }

  /** Brings the subscriptions to what this request names. */
  #subscribe(): void {
    const session = this.#session!;
    const { filters, selector } = this.#terms;
    const present = session.subscribed();
    if (filters.length === 0) {
      if (present.length === 0) return this.#refuse(notFound('there is no such subscription: name its filters', 'no-subscription'));
      return this.#open();
    }
    const gone = present.filter(({ filter }) => !filters.includes(filter)).map(({ filter }) => filter);
    if (gone.length > 0) session.unsubscribe(gone, 0);
    // What is there as it is asked for stays: its epoch must stay, too.
    const wanted = filters.filter(
      (filter) => !present.some((each) => each.filter === filter && each.guarantee === this.#terms.guarantee && each.selector === selector),
    );
    if (wanted.length === 0) return this.#open();
    this.#asked = wanted;
    const { server } = this.#request;
    const epoch = newEpoch(server);
    session.subscribe(
      wanted.map((filter) => ({
        filter,
        guarantee: this.#terms.guarantee,
        noLocal: false,
        retainAsPublished: false,
        retainHandling: 'ifNew',
        subscriptionId: hasOwnQueue(filter) ? newEpoch(server) : epoch,
        ...(selector !== undefined && { selector }),
      })),
      1,
    );
  }

  #open(): void {
    if (this.#isOver || this.#request.isOver) return this.#end();
    this.#stream = new OpenStream(this.#request, this.#terms.format, {
      drained: () => this.#session?.resume(),
      ended: () => this.#end(),
    });
    this.#request.server.subscriptions.set(this.#key, this);
    this.#session?.resume();
  }

  #refuse(problem: Problem): void {
    this.#request.problem(problem);
    // What was made for this request goes with it.
    if (this.#isNew) this.#end(0);
    else this.#end();
  }

  #end(sessionExpiryMs?: number): void {
    if (this.#isOver) return;
    this.#isOver = true;
    const { subscriptions } = this.#request.server;
    if (subscriptions.get(this.#key) === this) subscriptions.delete(this.#key);
    this.#session?.detach(false, sessionExpiryMs);
    this.#session = undefined;
    this.#stream?.end();
  }

  // --- what the broker tells

  attached(outcome: Outcome, session: Session | undefined, sessionPresent: boolean): void {
    this.#session = session;
    this.#isNew = !sessionPresent;
    this.#request.server.turn.atEnd(() => {
      if (this.#isOver) {
        this.#session?.detach(false);
        this.#session = undefined;
      } else if (session === undefined) this.#refuse(problemOf(outcome) ?? problemOf(Outcome.unavailable)!);
      else if (this.#session !== undefined) this.#subscribe();
    });
  }

  subscribed(_token: number, results: readonly SubscribeResult[]): void {
    const at = results.findIndex(({ outcome }) => outcome !== Outcome.accepted);
    this.#request.server.turn.atEnd(() => {
      if (at === -1) this.#open();
      else this.#refuse(problemOf(results[at]!.outcome, `filter ${JSON.stringify(this.#asked[at])}`)!);
    });
  }

  send(message: Message, retained: boolean): boolean {
    const stream = this.#stream;
    if (stream === undefined || stream.isCongested) {
      this.#request.server.counters.eventsDropped++;
      return false;
    }
    stream.write(eventText(message, stream.format, retained ? { retained } : {}));
    return true;
  }

  transfer(
    deliveryId: number,
    _guarantee: 1 | 2,
    message: Message,
    retained: boolean,
    redelivered: boolean,
    ids: readonly number[] | undefined,
    position: number,
    deliveryCount: number,
  ): boolean {
    const epoch = ids === undefined || ids.length === 0 ? 0 : Math.min(...ids);
    if (this.#terms.seen?.has(epoch, position) === true) {
      if (this.#had.push(deliveryId) === 1) this.#request.server.turn.atEnd(() => this.#settleHad());
      return true;
    }
    const id = this.#ids.add(epoch, position);
    this.#sent.push({ deliveryId, epoch, position });
    this.#stream?.write(eventText(message, this.#terms.format, { retained, redelivered, deliveryCount }, id));
    if (this.#isFull) this.#request.server.turn.atEnd(() => this.#isFull && this.#end());
    return true;
  }

  #settleHad(): void {
    const had = this.#had;
    this.#had = [];
    for (const id of had) this.#session?.settle(id, 'accepted');
  }

  releaseDelivery(): void {}
  published(): void {}
  released(): void {}
  unsubscribed(): void {}
  hold(): void {}

  detached(reason: CloseReason): void {
    this.#session = undefined;
    this.#request.server.turn.atEnd(() => {
      this.#end();
      this.#request.problem(reason === 'takenOver' ? takenOver : problemOf(Outcome.unavailable)!);
    });
  }
}

const takenOver: Problem = { status: 409, code: 'taken-over', title: 'Another request has taken the subscription over' };

function keyOf({ member }: Request, name: string): string {
  return `${member.principal.tenant}\n${member.principal.id}\n${name}`;
}

// --- the subscription as a resource

export function answerSubscriptionVerb(request: Request, name: string, verb: 'itself' | 'ack'): void {
  if (verb === 'itself') return endSubscription(request, name);
  const id = request.query.get('id');
  const seen = id === null ? undefined : readEventId(id);
  if (seen === undefined) return request.problem(badRequest('?id= is the id of the last event that you have'));
  const subscription = request.server.subscriptions.get(keyOf(request, name));
  if (subscription === undefined) {
    return request.problem(notFound('it has no stream now: the next one takes the id as Last-Event-ID', 'no-stream'));
  }
  request.answer(200, { 'Content-Type': 'application/json' }, JSON.stringify({ acknowledged: subscription.acknowledge(seen) }));
}

/** By taking it over, forgetting it, and leaving. */
function endSubscription(request: Request, name: string): void {
  const { server, member, visit } = request;
  const { principal } = member;
  const { facts } = visit.peer;
  const consumer = new LastConsumer((outcome, session, wasThere) => {
    server.turn.atEnd(() => {
      session?.detach(false, 0);
      const problem = problemOf(outcome);
      if (problem !== undefined) request.problem(problem);
      else if (wasThere) request.answer(204, {});
      else request.problem(notFound('there is no such subscription', 'no-subscription'));
    });
  });
  server.broker.attach(
    {
      principal,
      clientId: server.lastingName(principal, 'subscription', name),
      connectsAs: principal.id,
      protocol: 'HTTP',
      remoteAddress: facts.remoteAddress,
      listener: facts.listener,
      cleanStart: false,
      sessionExpiryMs: 0,
      will: undefined,
      receiveMaximum: 1,
      maxPacketBytes: Infinity,
    },
    consumer,
  );
}

class LastConsumer implements Consumer {
  readonly congested = true;
  readonly #done: (outcome: Outcome, session: Session | undefined, wasThere: boolean) => void;

  constructor(done: (outcome: Outcome, session: Session | undefined, wasThere: boolean) => void) {
    this.#done = done;
  }

  attached(outcome: Outcome, session: Session | undefined, wasThere: boolean): void {
    this.#done(outcome, session, wasThere);
  }

  send(): boolean {
    return false;
  }

  transfer(): boolean {
    return true;
  }

  releaseDelivery(): void {}
  published(): void {}
  released(): void {}
  subscribed(): void {}
  unsubscribed(): void {}
  hold(): void {}
  detached(): void {}
}
