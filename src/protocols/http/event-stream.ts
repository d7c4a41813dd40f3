// A stream of events for as long as its request lasts. An event counts as received when it is written: what a peer wants to have
// without gaps it takes by a named subscription (named-subscription.ts).

import { Outcome } from '../../broker/port.ts';
import type { CloseReason, Consumer, Session, SubscribeResult } from '../../broker/port.ts';
import type { Message } from '../../message/message.ts';
import type { EventFormat } from './event-encoder.ts';
import { formatOf, OpenStream, streamGuarantee, tooManyStreams } from './open-stream.ts';
import { badRequest, problemOf, type Problem } from './problem.ts';
import type { Request } from './request.ts';

/** Deliveries at a time that are written and not settled: they are at the end of the turn. */
const window = 256;

export function openEventStream(request: Request, filters: readonly string[]): void {
  const { counters, options } = request.server;
  if (counters.streams >= options.maxStreams) return request.problem(tooManyStreams);
  const format = formatOf(request);
  if (typeof format !== 'string') return request.problem(format);
  const guarantee = streamGuarantee(request);
  if (typeof guarantee !== 'number') return request.problem(guarantee);
  const selector = request.query.get('selector') ?? undefined;
  if (selector !== undefined && selector.length > 4096) return request.problem(badRequest('the selector is too long'));
  new EventStream(request, filters, format, guarantee, selector).attach();
}

class EventStream implements Consumer {
  readonly #request: Request;
  readonly #filters: readonly string[];
  readonly #format: EventFormat;
  readonly #guarantee: 0 | 1;
  readonly #selector: string | undefined;
  #session: Session | undefined;
  #stream: OpenStream | undefined;
  #isOver = false;
  #unsettled: number[] = [];

  constructor(request: Request, filters: readonly string[], format: EventFormat, guarantee: 0 | 1, selector: string | undefined) {
    this.#request = request;
    this.#filters = filters;
    this.#format = format;
    this.#guarantee = guarantee;
    this.#selector = selector;
  }

  get congested(): boolean {
    return this.#stream?.isCongested ?? true;
  }

  attach(): void {
    const { server, member, visit } = this.#request;
    const { principal } = member;
    const { facts } = visit.peer;
    this.#request.onGone = () => this.#end();
    server.broker.attach(
      {
        principal,
        clientId: server.sessionName(principal),
        connectsAs: principal.id,
        protocol: 'HTTP stream',
        remoteAddress: facts.remoteAddress,
        listener: facts.listener,
        cleanStart: true,
        sessionExpiryMs: 0,
        will: undefined,
        receiveMaximum: window,
        maxPacketBytes: Infinity,
      },
      this,
    );
  }

  #subscribe(): void {
    this.#session?.subscribe(
      this.#filters.map((filter) => ({
        filter,
        guarantee: this.#guarantee,
        noLocal: false,
        retainAsPublished: false,
        retainHandling: 'always',
        subscriptionId: 0,
        ...(this.#selector !== undefined && { selector: this.#selector }),
      })),
      1,
    );
  }

  #open(): void {
    if (this.#isOver || this.#request.isOver) return this.#end();
    this.#stream = new OpenStream(this.#request, this.#format, {
      drained: () => this.#session?.resume(),
      ended: () => this.#end(),
    });
    this.#session?.resume();
  }

  #refuse(problem: Problem): void {
    this.#request.problem(problem);
    this.#end();
  }

  #end(): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#session?.detach(false);
    this.#session = undefined;
    this.#stream?.end();
  }

  // --- what the broker tells: nothing of it may call the broker back

  attached(outcome: Outcome, session: Session | undefined): void {
    this.#session = session;
    this.#request.server.turn.atEnd(() => {
      if (this.#isOver) return this.#leave();
      if (session === undefined) this.#refuse(problemOf(outcome) ?? problemOf(Outcome.unavailable)!);
      else this.#subscribe();
    });
  }

  /** The peer went before it was answered. */
  #leave(): void {
    this.#session?.detach(false);
    this.#session = undefined;
  }

  subscribed(_token: number, results: readonly SubscribeResult[]): void {
    const at = results.findIndex(({ outcome }) => outcome !== Outcome.accepted);
    this.#request.server.turn.atEnd(() => {
      if (at === -1) this.#open();
      else this.#refuse(problemOf(results[at]!.outcome, `filter ${JSON.stringify(this.#filters[at])}`)!);
    });
  }

  send(message: Message, retained: boolean): boolean {
    const stream = this.#stream;
    if (stream === undefined || stream.isCongested) {
      this.#request.server.counters.eventsDropped++;
      return false;
    }
    stream.write(this.#request.server.encoder.shared(message, stream.format, retained));
    return true;
  }

  transfer(deliveryId: number, _guarantee: 1 | 2, message: Message, retained: boolean): boolean {
    const { server } = this.#request;
    this.#stream?.write(server.encoder.shared(message, this.#format, retained));
    if (this.#unsettled.push(deliveryId) === 1) {
      server.turn.atEnd(() => {
        const settled = this.#unsettled;
        this.#unsettled = [];
        for (const id of settled) this.#session?.settle(id, 'accepted');
      });
    }
    return true;
  }

  releaseDelivery(): void {}
  published(): void {}
  released(): void {}
  unsubscribed(): void {}
  hold(): void {}

  detached(_reason: CloseReason): void {
    this.#session = undefined;
    this.#request.server.turn.atEnd(() => {
      this.#stream?.end();
      this.#end();
      this.#request.problem(problemOf(Outcome.unavailable)!);
    });
  }
}
