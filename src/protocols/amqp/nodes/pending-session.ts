// In place of the broker's session, on a connection whose peer is to prove by a token on `$cbs` who it is, and has not: it has no
// rights at all, and the broker does not know of it.

import { Outcome } from '../../../broker/port.ts';
import type { Address, Session, SubscribedFilter, UnsettledDelivery } from '../../../broker/port.ts';
import type { Principal } from '../../../security/security.ts';

const nobody: Principal = { tenant: '', id: '', kind: 'anonymous', roles: [] };

export class PendingSession implements Session {
  readonly clientId = '';
  readonly sessionExpiryMs = 0;
  readonly principal = nobody;
  readonly addressVersion = 0;

  renew(): void {}

  address(topic: string, topicBytes: Uint8Array): Address {
    return { topic, topicBytes, outcome: Outcome.notAuthorized };
  }

  publish(): Outcome {
    return Outcome.notAuthorized;
  }

  release(): Outcome {
    return Outcome.noSubscription;
  }

  publishedTags(): readonly string[] {
    return [];
  }

  subscribe(): void {}
  unsubscribe(): void {}

  subscribed(): readonly SubscribedFilter[] {
    return [];
  }

  lastValue(_topic: string, answer: (outcome: Outcome, message: undefined) => void): void {
    answer(Outcome.notFound, undefined);
  }

  sharedFilters(): readonly string[] {
    return [];
  }

  settle(): boolean {
    return false;
  }

  unsettled(): readonly UnsettledDelivery[] {
    return [];
  }

  resume(): void {}
  drain(): void {}

  createTemporary(): string | undefined {
    return undefined;
  }

  removeTemporary(): void {}

  begin(): Outcome {
    return Outcome.notAuthorized;
  }

  detach(): void {}
}
