// The resource directory of one tenant (RFC 9176): who is registered, until when, and on which path each was heard last.

import type { Timer } from '../../../base/timers.ts';
import { Outcome } from '../../../broker/port.ts';
import { noBytes } from '../codec/index.ts';
import type { Client } from './client.ts';
import { CommandLink } from './command-link.ts';
import type { House } from './house.ts';
import type { Keeper, Kept } from './keeper.ts';
import { decodeRegistration, encodeRegistration, type Registration } from './registration.ts';

type Entry = { registration: Registration; timer: Timer | undefined; commands: CommandLink | undefined };

/** Longer timers are looked at again on the way. */
const longestLookMs = 3_600_000;

export class Directory {
  readonly #house: House;
  readonly #keeper: Keeper;
  readonly #byKey = new Map<string, Entry>();
  /** How many each principal has. */
  readonly #owners = new Map<string, number>();

  constructor(house: House, keeper: Keeper) {
    this.#house = house;
    this.#keeper = keeper;
  }

  get size(): number {
    return this.#byKey.size;
  }

  get(key: string): Registration | undefined {
    return this.#byKey.get(key)?.registration;
  }

  ownedBy(owner: string): number {
    return this.#owners.get(owner) ?? 0;
  }

  *all(): Iterable<Registration> {
    for (const { registration } of this.#byKey.values()) yield registration;
  }

  /** From before a restart. */
  found({ payload, name }: Kept): void {
    const registration = decodeRegistration(payload);
    if (registration?.key !== name || registration.expiresAtMs <= this.#house.clock.wallMs()) return;
    this.#set(registration);
  }

  /** `client`: who says so, and takes its commands from now on. `done`: accepted when it is durable. */
  put(registration: Registration, client: Client, done: (outcome: Outcome) => void): void {
    const before = this.#byKey.get(registration.key);
    // Somebody else's: what waits for him is not for the new one.
    if (before !== undefined && before.registration.owner !== registration.owner) this.#forget(before);
    const entry = this.#set(registration);
    this.#bind(entry, client);
    this.#keeper.write('rd', registration.key, encodeRegistration(registration), registration.expiresAtMs, done);
  }

  remove(key: string, done: (outcome: Outcome) => void): void {
    const entry = this.#byKey.get(key);
    if (entry === undefined) return done(Outcome.notFound);
    this.#forget(entry);
    this.#keeper.write('rd', key, noBytes, 0, done);
  }

  #set(registration: Registration): Entry {
    let entry = this.#byKey.get(registration.key);
    if (entry === undefined) {
      entry = { registration, timer: undefined, commands: undefined };
      this.#byKey.set(registration.key, entry);
      this.#owners.set(registration.owner, this.ownedBy(registration.owner) + 1);
      this.#house.counters.registrations++;
    }
    entry.registration = registration;
    this.#watch(entry);
    return entry;
  }

  #watch(entry: Entry): void {
    const { clock, timers, counters } = this.#house;
    timers.cancel(entry.timer);
    const leftMs = Math.min(entry.registration.expiresAtMs - clock.wallMs(), longestLookMs);
    entry.timer = timers.at(clock.monotonicMs() + Math.max(1, leftMs), () => {
      if (entry.registration.expiresAtMs > clock.wallMs()) return this.#watch(entry);
      counters.registrationsExpired++;
      // The retained message ends by itself at the same time.
      this.#forget(entry);
    });
  }

  #bind(entry: Entry, client: Client): void {
    if (this.#house.options.commandTopic === '') return;
    if (entry.commands === undefined || entry.commands.ended) entry.commands = new CommandLink(this.#house);
    entry.commands.bind(client, entry.registration);
  }

  #forget(entry: Entry): void {
    this.#house.timers.cancel(entry.timer);
    entry.commands?.end();
    const { key, owner } = entry.registration;
    this.#byKey.delete(key);
    const left = this.ownedBy(owner) - 1;
    if (left > 0) this.#owners.set(owner, left);
    else this.#owners.delete(owner);
    this.#house.counters.registrations--;
  }

  close(): void {
    for (const { timer, commands } of this.#byKey.values()) {
      this.#house.timers.cancel(timer);
      commands?.end();
    }
    this.#byKey.clear();
  }
}
