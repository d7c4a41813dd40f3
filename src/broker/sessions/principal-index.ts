// The sessions of a tenant by the principal that owns them: to find quickly whom a change of what is known of it concerns.

import type { ClientSession } from './client-session.ts';
import { Several } from '../routing/several.ts';

export class PrincipalIndex {
  /** Nearly every principal has one session: then it stands here itself. */
  readonly #sessions = new Map<string, ClientSession | Several<ClientSession>>();

  get size(): number {
    return this.#sessions.size;
  }

  add(session: ClientSession): void {
    const { id } = session.principal;
    const before = this.#sessions.get(id);
    if (before === undefined) this.#sessions.set(id, session);
    else if (before instanceof Several) before.add(session);
    else if (before !== session) this.#sessions.set(id, new Several(before, session));
  }

  delete(session: ClientSession): void {
    const { id } = session.principal;
    const before = this.#sessions.get(id);
    if (before === session) {
      this.#sessions.delete(id);
    } else if (before instanceof Several && before.delete(session) && before.size === 1) {
      this.#sessions.set(id, before.items[0]!);
    }
  }

  *all(): Generator<ClientSession, void, undefined> {
    for (const found of this.#sessions.values()) {
      if (found instanceof Several) yield* found.items;
      else yield found;
    }
  }

  has(principalId: string): boolean {
    return this.#sessions.has(principalId);
  }

  /** How many sessions it has. */
  count(principalId: string): number {
    const found = this.#sessions.get(principalId);
    return found === undefined ? 0 : found instanceof Several ? found.size : 1;
  }

  /** Ends those without a connection; returns how many there were. */
  forget(principalId: string): number {
    const gone = this.of(principalId).filter(({ attachment, ended }) => !ended && attachment === undefined);
    for (const session of gone) session.forget();
    return gone.length;
  }

  /** In no particular order; those that there are now. */
  of(principalId: string): readonly ClientSession[] {
    const found = this.#sessions.get(principalId);
    if (found === undefined) return [];
    return found instanceof Several ? [...found.items] : [found];
  }
}
