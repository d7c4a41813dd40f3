// How many sessions each peer has: one device, or one host without identity, shall not fill the endpoint, not even with the right key.

import { hostOf } from './handshake-hosts.ts';
import type { Session } from './session.ts';

export class SessionGroups {
  /** Most have one. */
  readonly #groups = new Map<string, Session | Set<Session>>();

  /** Returns the oldest of the same peer when there are more than `most` now: it must go. */
  add(session: Session, most: number): Session | undefined {
    const key = groupOf(session);
    const group = this.#groups.get(key);
    if (group === undefined) {
      this.#groups.set(key, session);
      return undefined;
    }
    const all = group instanceof Set ? group : new Set([group]);
    this.#groups.set(key, all.add(session));
    return all.size > most ? all.values().next().value : undefined;
  }

  remove(session: Session): void {
    const key = groupOf(session);
    const group = this.#groups.get(key);
    if (group instanceof Set) {
      group.delete(session);
      if (group.size === 1) this.#groups.set(key, group.values().next().value!);
    } else if (group === session) this.#groups.delete(key);
  }
}

/** By identity; without one, by the host it came from first. */
function groupOf({ identity, firstHost }: Session): string {
  if (identity.kind === 'none') return hostOf(firstHost);
  return identity.kind === 'psk' ? `psk ${Buffer.from(identity.identity).toString('latin1')}` : `${identity.kind} ${identity.fingerprint}`;
}
