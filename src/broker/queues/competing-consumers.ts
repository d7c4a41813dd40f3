// The consumers of one shared or named queue. Entries go to the members in turn, each to one; what a member leaves behind
// unsettled goes back to its place and to another.
//
// Two ways to deliver. Plain: every member may have every entry, so the first entry goes to the next member that has room. Choosy:
// selectors, groups, no-local, or entries that some member must not have again; then each member looks for its next entry from
// where it looked last (QueueCursor).

import type { Guarantee, Message } from '../../message/message.ts';
import type { Selector } from '../../message/selector/selector.ts';
import { Outcome } from '../port.ts';
import type { ClientSession } from '../sessions/client-session.ts';
import { MessageGroups } from './message-groups.ts';
import { QueueBrowser } from './queue-browser.ts';
import { QueueCursor } from './queue-cursor.ts';
import type { Entry, Queue, QueueHolder } from './queue.ts';
import { writeQueue } from '../journal/records.ts';
import type { Subscription } from '../routing/route.ts';

/** Entries looked at in one go; then other work gets its turn. */
const sliceEntries = 5000;
const readAheadEntries = 256;
const minBarredSweep = 1000;
const nobody: ReadonlySet<number> = new Set();

/** Who competes for the entries of a queue; undefined for a session's inbox. */
export function competingOf(queue: Queue): CompetingConsumers | undefined {
  return queue.kind === 'inbox' ? undefined : (queue.holder as CompetingConsumers);
}

export class CompetingConsumers implements QueueHolder {
  readonly queue: Queue;
  /** Subscribed filter; empty for a named queue, which gets only what is sent to it. */
  readonly filter: string;
  readonly #members: Subscription[] = [];
  readonly #taken = new Set<Entry>();
  #browsers: QueueBrowser[] | undefined = undefined;
  readonly #groups = new MessageGroups();
  /** Members that do not want everything. */
  #choosy = 0;
  #exclusive = 0;
  /** The one that gets everything, when only one may. */
  #active: Subscription | undefined = undefined;
  /** Of a shared queue without members: what it takes meanwhile. */
  keptSelector: Selector | undefined = undefined;
  /** How far members have looked; made while they have to look. */
  readonly #cursors = new Map<Subscription, QueueCursor>();
  /** Keys of the sessions that are not to have an entry again. */
  #barred: Map<Entry, Set<number>> | undefined = undefined;
  /** With so many it is looked which of them have left the queue unseen: they expired, or an operator took them. */
  #barredSweep = minBarredSweep;
  #next = 0;
  #pumping = false;
  #looked = 0;
  /** What waits is being read or looked through: it goes on by itself. */
  #goesOn = false;
  /** To be told when that is over. */
  #drainers: Set<ClientSession> | undefined = undefined;
  #goesOnLater = false;
  /** The queue is gone but for what is under way; called when that is settled. */
  #whenSettled: (() => void) | undefined = undefined;

  constructor(queue: Queue, filter: string) {
    this.queue = queue;
    this.filter = filter;
    queue.holder = this;
  }

  /** Those that take; browsers are none. */
  get members(): readonly Subscription[] {
    return this.#members;
  }

  /** Whether the session may consume: not while another one has the queue to itself. */
  admits(session: ClientSession, exclusive: boolean): boolean {
    return !this.#members.some((member) => {
      return member.session !== session && member.session.attachment !== undefined && (exclusive || member.exclusive);
    });
  }

  join(subscription: Subscription): void {
    if (subscription.browse) {
      (this.#browsers ??= []).push(new QueueBrowser(this.queue, subscription));
      return;
    }
    this.#members.push(subscription);
    if (isChoosy(subscription)) this.#choosy++;
    if (subscription.exclusive) this.#exclusive++;
  }

  /** A subscription is gone. What its session has unsettled is the session's affair. */
  quit(subscription: Subscription): void {
    const index = this.#members.indexOf(subscription);
    if (index < 0) return this.#closeBrowser(subscription);
    this.#members.splice(index, 1);
    if (index < this.#next) this.#next--;
    if (isChoosy(subscription)) this.#choosy--;
    if (subscription.exclusive) this.#exclusive--;
    this.#cursors.get(subscription)?.close();
    this.#cursors.delete(subscription);
    this.#groups.quit(subscription);
    if (!this.retired) this.memberWent();
  }

  #closeBrowser(subscription: Subscription): void {
    const index = this.#browsers?.findIndex((browser) => browser.subscription === subscription) ?? -1;
    if (index < 0) return;
    this.#browsers!.splice(index, 1)[0]!.close();
    if (this.#browsers!.length === 0) this.#browsers = undefined;
  }

  /** A member is there no more, or not connected: what was for it alone may be for others now. */
  memberWent(): void {
    if (this.#members.length === 0) return;
    if (this.queue.grouped > 0) this.#lookAgain();
    else if (!this.#isSingle) return;
    // Whoever called may be in the middle of something else.
    this.#pumpLater();
  }

  #lookAgain(): void {
    for (const cursor of this.#cursors.values()) cursor.reset();
  }

  #pumpLater(): void {
    if (this.#goesOnLater) return;
    this.#goesOnLater = true;
    this.queue.shard.later(() => {
      this.#goesOnLater = false;
      this.pump();
    });
  }

  memberOf(session: ClientSession): Subscription | undefined {
    return this.#members.find((member) => member.session === session);
  }

  taken(): Iterable<Entry> {
    return this.#taken;
  }

  /** A member has settled it, or lost it for good. */
  finished(entry: Entry): void {
    this.#release(entry);
    this.#barred?.delete(entry);
    if (this.#whenSettled !== undefined && this.#taken.size === 0) this.#whenSettled();
  }

  /** It is with no member any more, and will be returned when its message has been changed. */
  letGo(entry: Entry): void {
    this.#taken.delete(entry);
  }

  #release(entry: Entry): void {
    this.#taken.delete(entry);
    if (!this.#groups.done(entry) || this.queue.grouped === 0) return;
    this.#lookAgain();
    this.#pumpLater();
  }

  /** A member is gone before it settled the entries, or gives them back. `failed`: delivering them has, and that counts. */
  returned(entries: readonly Entry[], failed = false): void {
    if (!this.retired) {
      for (const entry of entries) this.#release(entry);
      this.queue.giveBack(entries, failed);
      return;
    }
    for (const entry of entries) {
      this.queue.leave(entry, 'sessionEnded');
      this.finished(entry);
    }
  }

  /** The session is not to have the entry, which it has under way, again. Returns whether somebody else can. */
  bar(entry: Entry, session: ClientSession): boolean {
    const barred = (this.#barred ??= new Map<Entry, Set<number>>());
    if (barred.size >= this.#barredSweep) this.#sweepBarred(barred);
    let keys = barred.get(entry);
    if (keys === undefined) barred.set(entry, (keys = new Set()));
    keys.add(session.key);
    return this.#members.some((member) => !keys.has(member.session.key));
  }

  #sweepBarred(barred: Map<Entry, Set<number>>): void {
    for (const entry of barred.keys()) if (entry.gone) barred.delete(entry);
    this.#barredSweep = Math.max(minBarredSweep, 2 * barred.size);
  }

  /** Entries that somebody must not have again. */
  get barred(): number {
    return this.#barred?.size ?? 0;
  }

  /** Nothing is to come any more. What members have under way they may settle [MQTT-3.10.4-3]; then `settled` is called. */
  retire(settled: () => void): void {
    this.#whenSettled = settled;
    for (const { subscription } of this.#browsers?.slice() ?? []) this.#closeBrowser(subscription);
    if (this.#taken.size === 0) settled();
  }

  /** Its queue is gone but for what is under way. */
  get retired(): boolean {
    return this.#whenSettled !== undefined;
  }

  /** The caller has touched the shard. */
  writeRecord(): void {
    const { id, kind, tenant, name, shard, nextPosition, keepMs, forsakenAtMs } = this.queue;
    // Inboxes have sessions for holders.
    if (kind === 'inbox') return;
    writeQueue(shard.writer, {
      queueId: id,
      kind,
      retired: this.retired,
      tenant,
      name,
      nextPosition,
      keepMs,
      forsakenAtMs,
      selector: this.keptSelector?.text,
    });
  }

  /** A message that no member of a shared subscription wants does not enter its queue. */
  wants(message: Message): boolean {
    if (this.keptSelector !== undefined && this.#members.length === 0) return this.keptSelector.matches(message);
    if (this.#choosy === 0 || this.queue.kind !== 'shared' || this.#choosy < this.#members.length) return true;
    return this.#members.some(({ selector }) => selector === undefined || selector.matches(message));
  }

  /** Delivers at most once to one member that can take it now. `publisher`: see Entry. */
  send(message: Message, publisher = 0): Outcome {
    const isPlain = this.#choosy === 0 && message.attributes === undefined;
    this.#elect();
    const member = this.#nextMember((each) => hasRoom(each.session) && (isPlain || this.#mayHave(each, message, publisher)));
    if (member === undefined) {
      this.queue.passThrough('noConsumer');
      return Outcome.noSubscribers;
    }
    const groupId = message.attributes?.groupId;
    if (groupId !== undefined) this.#groups.claim(groupId, member, undefined);
    const retained = member.retainAsPublished && message.retain;
    const sent = member.session.hand(message, retained, member.subscriptionIds);
    this.queue.passThrough(sent ? 'delivered' : 'slowConsumer');
    return Outcome.accepted;
  }

  #mayHave(member: Subscription, message: Message, publisher: number): boolean {
    if (member.noLocal && publisher !== 0 && publisher === member.session.connectionKey) return false;
    const groupId = message.attributes?.groupId;
    if (groupId !== undefined && !this.#groups.mayTake(groupId, member)) return false;
    return member.selector === undefined || member.selector.matches(message);
  }

  pump(): void {
    // Delivering can free a member's credit at once and so ask for this again.
    if (this.#pumping) return;
    this.#pumping = true;
    this.#looked = 0;
    this.#goesOn = false;
    if (this.#browsers !== undefined) for (const browser of this.#browsers) if (browser.show(this.#mayLook)) this.#goesOn = true;
    this.#elect();
    if (this.#choosy === 0 && this.queue.grouped === 0 && (this.#barred === undefined || this.#barred.size === 0)) this.#pumpPlainly();
    else this.#pumpByMember();
    this.#pumping = false;
    if (this.#drainers !== undefined && !this.#goesOn) this.#tellDrainers();
  }

  /** What waits may still go to the session, without anybody doing anything. If so, it is told when that is over. */
  goesOnFor(session: ClientSession): boolean {
    if (this.#goesOn) (this.#drainers ??= new Set()).add(session);
    return this.#goesOn;
  }

  #tellDrainers(): void {
    const drainers = this.#drainers!;
    this.#drainers = undefined;
    for (const session of drainers) session.pump();
  }

  #pumpPlainly(): void {
    if (this.#cursors.size > 0) this.#closeCursors();
    const queue = this.queue;
    for (let entry = queue.ready.first; entry !== undefined; entry = queue.ready.first) {
      if (entry.row > queue.shard.durableRow) break;
      if (queue.isSpent(entry)) {
        this.#buryOne(entry);
        continue;
      }
      const member = this.#nextMember(canTake);
      if (member === undefined) break;
      if (!this.#give(entry, member)) break;
    }
  }

  #closeCursors(): void {
    for (const cursor of this.#cursors.values()) cursor.close();
    this.#cursors.clear();
  }

  /** Found in the journal: delivering it failed too often before the node went down. */
  #buryOne(entry: Entry): void {
    this.queue.takeOut(entry);
    this.queue.burySpent(entry);
  }

  /** Returns false when its message must be read first. */
  #give(entry: Entry, member: Subscription): boolean {
    const sendAs = (entry.guarantee < member.guarantee ? entry.guarantee : member.guarantee) as Guarantee;
    const groupId = entry.stored!.terms?.groupId;
    const taken = member.session.deliveries.take(entry, sendAs, entry.retained && member.retainAsPublished, member.subscriptionIds);
    if (taken === 'loading') {
      this.#goesOn = true;
      return false;
    }
    if (taken === 'unsettled') this.#taken.add(entry);
    else this.#barred?.delete(entry);
    if (groupId !== undefined) this.#groups.claim(groupId, member, taken === 'unsettled' ? entry : undefined);
    return true;
  }

  /** Members in turn get one entry each, until none of them gets any. */
  #pumpByMember(): void {
    const members = this.#members;
    let without = 0;
    while (without < members.length && this.queue.ready.length > 0) {
      if (this.#next >= members.length) this.#next = 0;
      const member = members[this.#next++]!;
      const entry = this.#mayServe(member) && member.session.canTake() ? this.#nextFor(member) : undefined;
      if (entry === undefined) without++;
      else if (this.queue.isSpent(entry)) this.#buryOne(entry);
      else if (this.#give(entry, member)) without = 0;
      else without++;
    }
  }

  /** The first entry that the member has not looked at and may have; undefined: none, or none yet. */
  #nextFor(member: Subscription): Entry | undefined {
    const { shard } = this.queue;
    const { selector, noLocal, session } = member;
    let cursor = this.#cursors.get(member);
    if (cursor === undefined) this.#cursors.set(member, (cursor = new QueueCursor(this.queue)));
    for (let entry = cursor.next(); entry !== undefined; entry = cursor.next()) {
      if (entry.row > shard.durableRow || !this.#mayLook()) return undefined;
      const groupId = entry.stored!.terms?.groupId;
      const isFor =
        (groupId === undefined || this.#groups.mayTake(groupId, member)) &&
        !(noLocal && entry.publisher !== 0 && entry.publisher === session.connectionKey) &&
        !(this.#barred?.get(entry) ?? nobody).has(session.key);
      if (isFor && selector === undefined) return entry;
      if (isFor) {
        const message = shard.load(entry.stored!, this.queue);
        if (message === undefined) {
          shard.readAhead(entry, readAheadEntries);
          this.#goesOn = true;
          return undefined;
        }
        if (selector!.matches(message)) return entry;
      }
      cursor.pass(entry);
    }
    return undefined;
  }

  readonly #mayLook = (): boolean => {
    if (++this.#looked < sliceEntries) return true;
    this.#goesOn = true;
    this.#pumpLater();
    return false;
  };

  /** An entry found in the journal that a session has under way. */
  recoverTaken(entry: Entry): void {
    this.#taken.add(entry);
    const groupId = entry.stored?.terms?.groupId;
    const member = groupId === undefined ? undefined : this.#members.find(({ session }) => session === entry.owner);
    if (member !== undefined) this.#groups.claim(groupId!, member, entry);
  }

  get #isSingle(): boolean {
    return this.#exclusive > 0 || this.queue.rules.singleActive;
  }

  /** Where only one gets everything: it stays the one as long as it is attached. */
  #elect(): void {
    if (!this.#isSingle) {
      this.#active = undefined;
      return;
    }
    const active = this.#active;
    if (active?.session.attachment !== undefined && this.#members.includes(active)) return;
    const attached = this.#members.filter(({ session }) => session.attachment !== undefined);
    this.#active = attached.find(({ exclusive }) => exclusive) ?? attached[0];
  }

  #mayServe(member: Subscription): boolean {
    return this.#active === undefined ? !this.#isSingle : this.#active === member;
  }

  /** The next in turn that suits. */
  #nextMember(suits: (member: Subscription) => boolean): Subscription | undefined {
    const members = this.#members;
    const isSingle = this.#isSingle;
    for (let i = 0; i < members.length; i++) {
      const index = (this.#next + i) % members.length;
      const member = members[index]!;
      if ((isSingle && !this.#mayServe(member)) || !suits(member)) continue;
      this.#next = index + 1;
      return member;
    }
    return undefined;
  }
}

function isChoosy({ selector, noLocal }: Subscription): boolean {
  return selector !== undefined || noLocal;
}

const canTake = ({ session }: Subscription): boolean => session.canTake();

/** What is delivered at most once needs no credit [MQTT-3.3.4-9]. */
const hasRoom = (session: ClientSession): boolean => session.connected && !session.consumer!.congested;
