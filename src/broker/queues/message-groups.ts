// Message groups of one queue: all messages of a group go to one member, as long as it is attached or has one of them unsettled.

import type { Entry } from './queue.ts';
import type { Subscription } from '../routing/route.ts';

/** Groups that are remembered, with nothing under way. Beyond it a member may lose one for which nothing came for long. */
const maxIdleGroups = 10_000;
/** Groups looked at to find one that can be forgotten. */
const maxLook = 100;

type Group = { owner: Subscription | undefined; underWay: number };

export class MessageGroups {
  readonly #groups = new Map<string, Group>();
  /** Of what is under way. */
  readonly #of = new Map<Entry, Group>();

  /** The group is the member's, or nobody's. */
  mayTake(groupId: string, member: Subscription): boolean {
    const group = this.#groups.get(groupId);
    return group === undefined || group.owner === member || isFree(group);
  }

  /** From now on the group is the member's. `entry`: it has that one under way. */
  claim(groupId: string, member: Subscription, entry: Entry | undefined): void {
    let group = this.#groups.get(groupId);
    if (group === undefined) {
      if (this.#groups.size >= maxIdleGroups) this.#forgetOne();
      this.#groups.set(groupId, (group = { owner: member, underWay: 0 }));
    }
    group.owner = member;
    if (entry === undefined) return;
    group.underWay++;
    this.#of.set(entry, group);
  }

  #forgetOne(): void {
    let looked = 0;
    for (const [groupId, { underWay }] of this.#groups) {
      if (underWay === 0) this.#groups.delete(groupId);
      if (underWay === 0 || ++looked >= maxLook) return;
    }
  }

  /** The entry is under way no more. Returns whether its group came free by that. */
  done(entry: Entry): boolean {
    if (this.#of.size === 0) return false;
    const group = this.#of.get(entry);
    if (group === undefined) return false;
    this.#of.delete(entry);
    group.underWay--;
    return isFree(group);
  }

  /** The member is gone for good. */
  quit(member: Subscription): void {
    for (const [groupId, group] of this.#groups) {
      if (group.owner !== member) continue;
      group.owner = undefined;
      if (group.underWay === 0) this.#groups.delete(groupId);
    }
  }
}

function isFree({ owner, underWay }: Group): boolean {
  return underWay === 0 && owner?.session.attachment === undefined;
}
