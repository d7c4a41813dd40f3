// Exactly once, the publisher's half: the packet ids a session has published and not yet released [MQTT-4.3.3].
//
// The id of a journaled message stands in the same record as the message, in every shard that holds it; so after a crash a
// shard either has both or neither, and a repetition fills in only what is missing.

import type { Message } from '../../message/message.ts';
import type { ClientSession } from './client-session.ts';
import type { BrokerContext } from '../context.ts';
import { acknowledgeWhenDurable, distribute } from '../routing/distribution.ts';
import { Outcome } from '../port.ts';
import { RecordKind, writeOrigins } from '../journal/records.ts';
import type { OriginId } from '../journal/records.ts';
import type { Route } from '../routing/route.ts';
import { whenAllDurable } from '../journal/shard.ts';
import type { Shard, Written } from '../journal/shard.ts';

type Mark = {
  /**
   * 'published': every target has it. 'recovered': found in the journals of the shards that are named; whether all targets had it
   * is not known. 'releasing': released by the publisher.
   */
  readonly state: 'published' | 'recovered' | 'releasing';
  /** Where the message, or its release, was written. */
  readonly written: readonly Written[];
  /** The journals know the id, so its release is written too: the publisher's session is durable. */
  readonly recorded: boolean;
};

/** As many as there are packet ids. */
const maxIds = 65_535;
const nothingWritten: readonly Written[] = [];
const handled: Mark = { state: 'published', written: nothingWritten, recorded: false };

export class ReceivedIds {
  readonly #context: BrokerContext;
  readonly #session: ClientSession;
  #marks: Map<OriginId, Mark> | undefined;

  constructor(context: BrokerContext, session: ClientSession) {
    this.#context = context;
    this.#session = session;
  }

  get size(): number {
    return this.#marks?.size ?? 0;
  }

  /** It was published and not released. */
  has(id: OriginId): boolean {
    return this.#marks?.has(id) === true;
  }

  /** See Session.publishedTags. */
  tags(): string[] {
    const tags: string[] = [];
    for (const [id, mark] of this.#marks ?? []) {
      if (typeof id === 'string' && this.#isComplete(mark)) tags.push(id);
    }
    return tags;
  }

  /** What was found after a restart may be missing in other shards: then it must come again. */
  #isComplete(mark: Mark): boolean {
    if (mark.state === 'recovered') return mark.written.length === this.#context.shards.length;
    return mark.state === 'published' && isDurable(mark);
  }

  /** `id`: what the message is recognised by; `token`: what the consumer wants back. */
  publish(route: Route, message: Message, token: number, id: OriginId): Outcome {
    const session = this.#session;
    const context = this.#context;
    const marks = (this.#marks ??= new Map<OriginId, Mark>());
    const mark = marks.get(id);
    if (mark?.state === 'published') return this.#repeated(mark, token);
    if (mark === undefined && marks.size >= maxIds) return Outcome.quotaExceeded;
    const origin = session.durable ? session.key : 0;
    const before = mark?.state === 'recovered' ? mark.written : nothingWritten;
    const skip = before.length === 0 ? undefined : before.map((written: Written) => written.shard.index);
    const { outcome, shards } = distribute(context, session.space, route, message, { session, origin, id, skip });
    if (outcome === Outcome.quotaExceeded || outcome === Outcome.unavailable) {
      if (before.length === 0) return outcome;
      // Some targets have had it since before a crash: it can be neither refused nor, now, completed. The peer is to try again.
      session.expel('unavailable');
      return Outcome.pending;
    }
    context.counters.publishesAccepted++;
    if (shards.length === 0 && before.length === 0) marks.set(id, handled);
    else {
      const written = shards.map((shard) => ({ shard, row: shard.row }));
      if (origin !== 0) for (const shard of shards) originsOf(shard, session.key).add(id);
      marks.set(id, { state: 'published', written: [...before, ...written], recorded: origin !== 0 });
    }
    if (shards.length === 0) return outcome;
    acknowledgeWhenDurable(shards, session, token);
    return Outcome.pending;
  }

  /** The same message again: it is stored already, or about to be. */
  #repeated(mark: Mark, token: number): Outcome {
    this.#context.counters.publishesRepeated++;
    const consumer = this.#session.consumer;
    if (isDurable(mark)) return Outcome.accepted;
    whenAllDurable(mark.written, () => consumer?.published(token, Outcome.accepted));
    return Outcome.pending;
  }

  release(token: number, id: OriginId): Outcome {
    const mark = this.#marks?.get(id);
    if (mark === undefined) return Outcome.noSubscription;
    const consumer = this.#session.consumer;
    if (!mark.recorded && isDurable(mark)) {
      this.#marks!.delete(id);
      return Outcome.accepted;
    }
    const releasing = mark.state === 'releasing' ? mark : this.#beginRelease(id, mark);
    // Until this is durable the id is not free: after a crash its next message would be taken for a repetition.
    whenAllDurable(releasing.written, () => {
      if (this.#marks?.get(id) === releasing) this.#marks.delete(id);
      consumer?.released(token);
    });
    return Outcome.pending;
  }

  #beginRelease(id: OriginId, { written, recorded }: Mark): Mark {
    const where = recorded ? written.map(({ shard }) => ({ shard, row: this.#writeReleased(shard, [id]) })) : written;
    const mark: Mark = { state: 'releasing', written: where, recorded };
    this.#marks!.set(id, mark);
    return mark;
  }

  #writeReleased(shard: Shard, ids: readonly OriginId[]): number {
    const key = this.#session.key;
    const origins = shard.origins.get(key);
    for (const id of ids) origins?.delete(id);
    if (origins?.size === 0) shard.origins.delete(key);
    shard.touch();
    writeOrigins(shard.writer, RecordKind.originReleased, key, ids);
    return shard.row;
  }

  /** Found in the journal of a shard. */
  recover(shard: Shard, id: OriginId): void {
    const marks = (this.#marks ??= new Map<OriginId, Mark>());
    const written = marks.get(id)?.written ?? nothingWritten;
    marks.set(id, { state: 'recovered', written: [...written, { shard, row: 0 }], recorded: true });
  }

  /** The session is over. */
  clear(): void {
    for (const shard of this.#context.shards) {
      const origins = shard.origins.get(this.#session.key);
      if (origins !== undefined) this.#writeReleased(shard, [...origins]);
    }
    this.#marks = undefined;
  }
}

function isDurable({ written }: Mark): boolean {
  return written.every(({ shard, row }) => row <= shard.durableRow);
}

function originsOf(shard: Shard, sessionKey: number): Set<OriginId> {
  let origins = shard.origins.get(sessionKey);
  if (origins === undefined) shard.origins.set(sessionKey, (origins = new Set()));
  return origins;
}
