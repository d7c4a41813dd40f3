// What a broker leaves in its journals as text, and all that a broker brought back from it can tell. For fixtures.

import { ManualClock } from '../../base/clock.ts';
import type { Message } from '../../message/message.ts';
import { MemoryContents } from '../../store/memory/memory-journal.ts';
import { whatSurvives } from './described-state.ts';
import { TestBroker } from './test-broker.ts';

export type StoredBroker = {
  /** Wall-clock time when it stopped. */
  readonly wallMs: number;
  /** Rows in base64. */
  readonly shards: readonly { readonly checkpoint: number; readonly next: number; readonly rows: Record<string, string> }[];
};

export function storedBroker(t: TestBroker): StoredBroker {
  const shards = t.contents.map(({ checkpoint, next, rows }) => ({
    checkpoint,
    next,
    rows: Object.fromEntries([...rows].map(([row, bytes]) => [row, Buffer.from(bytes).toString('base64')])),
  }));
  return { wallMs: t.clock.wallMs(), shards };
}

/** A broker on what was stored, at the time when it was. */
export function broughtBack({ wallMs, shards }: StoredBroker): Promise<TestBroker> {
  const contents = shards.map(({ checkpoint, next, rows }) => {
    const made = new MemoryContents();
    for (const [row, bytes] of Object.entries(rows)) made.rows.set(Number(row), new Uint8Array(Buffer.from(bytes, 'base64')));
    made.checkpoint = checkpoint;
    made.next = next;
    return made;
  });
  return TestBroker.start({ contents, clock: new ManualClock(wallMs) });
}

/** Its state, and then what its sessions and a new subscriber get to see, now and when wills are due. As plain JSON. */
export function everythingOf(t: TestBroker): unknown {
  const state = whatSurvives(t.broker);
  t.settle();
  const clients = Object.keys(state.sessions).toSorted();
  // Who comes back takes its will back.
  const watchers = clients.filter((clientId) => (state.sessions[clientId] as { will: unknown }).will === undefined);
  const now = Object.fromEntries(watchers.map((clientId) => [clientId, seenBy(t, clientId)]));
  const retained = seenBy(t, 'new', '#');
  t.advance(2 * 3_600_000);
  const later = Object.fromEntries(watchers.map((clientId) => [clientId, seenBy(t, clientId)]));
  return JSON.parse(JSON.stringify({ state, now, retained, later }, plain)) as unknown;
}

function seenBy(t: TestBroker, clientId: string, filter?: string): unknown {
  const messages: { topic: string }[] = [];
  const note = (id: number, guarantee: number, m: Message, retained: boolean, redelivered: boolean, ids: unknown): true => {
    const { topic, retain, priority, expiresAtMs, acceptedAtMs, sender, attributes } = m;
    const payload = Buffer.from(m.payload()).toString();
    const published = { payload, guarantee: m.guarantee, retain, priority, expiresAtMs, acceptedAtMs, sender, attributes };
    // Only the ids of exactly-once deliveries must be known for long.
    messages.push({
      topic,
      ...published,
      deliveredAs: { id: guarantee === 2 && redelivered ? id : 0, guarantee, retained, redelivered, ids },
    } as {
      topic: string;
    });
    return true;
  };
  const consumer = t.connect(clientId, { sessionExpiryMs: filter === undefined ? Infinity : 0, receiveMaximum: 1000 }, (made) => {
    made.send = (m, retained, ids) => note(0, 0, m, retained, false, ids);
    made.transfer = note;
  });
  const { releases, sessionPresent } = consumer;
  if (filter !== undefined) {
    consumer.subscribe(filter, 2);
    messages.sort((a, b) => (a.topic < b.topic ? -1 : 1));
  }
  consumer.disconnect();
  return { sessionPresent, messages, releases };
}

function plain(_key: string, value: unknown): unknown {
  if (typeof value === 'bigint') return `${value} as bigint`;
  if (value === Infinity) return 'Infinity';
  return value instanceof Uint8Array ? Buffer.from(value).toString('base64') : value;
}
