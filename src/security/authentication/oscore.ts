// OSCORE (RFC 8613): the layer in CoAP has opened a request with a security context; here it is asked whose that is, and whether it
// still is.

import type { Clock } from '../../base/clock.ts';
import type { LookUps, NowOrLater } from '../../registry/registry.ts';
import type { Access, Credentials } from '../security.ts';
import type { Authenticator, Identity, Verdict } from './authenticator.ts';
import { whenKnown } from './now-or-later.ts';
import { stillAmong, verdictOf } from './raw-public-key.ts';

export class OscoreAuthenticator implements Authenticator {
  readonly method = 'oscore';
  readonly #lookUps: LookUps;
  readonly #clock: Clock;

  constructor(lookUps: LookUps, clock: Clock) {
    this.#lookUps = lookUps;
    this.#clock = clock;
  }

  authenticate({ oscoreContext }: Credentials, answer: (verdict: Verdict) => void): void {
    if (oscoreContext === undefined) return answer({ kind: 'next' });
    const { tenant, principal, contextId } = oscoreContext;
    const judged = whenKnown(this.#lookUps.get('credential', tenant, contextId), (found): Verdict => {
      if (!found.ok) return { kind: 'overloaded' };
      const entry = found.value;
      if (entry?.type !== 'oscore' || entry.owner.id !== principal) return { kind: 'refused', reason: 'context-removed' };
      return verdictOf(entry, this.#clock);
    });
    if (!(judged instanceof Promise)) return answer(judged);
    judged.then(answer, () => answer({ kind: 'overloaded' }));
  }

  reassess(identity: Identity, _access: Access): NowOrLater<Identity | 'barred' | 'unknown'> {
    const owner = { kind: identity.kind as 'device', id: identity.id };
    return whenKnown(this.#lookUps.credentials(identity.tenant, owner), (found) => stillAmong(identity, found, this.#clock));
  }
}
