// What a protocol that can manage the broker is given to do it with.

import type { BrokerManagement } from '../broker/management.ts';
import type { Principal } from '../security/security.ts';

/** Something that was done, or tried. */
export type ManagementEvent = {
  readonly principal: Principal;
  readonly action: 'queue.create' | 'queue.delete' | 'queue.purge';
  /** As a path: `queue/main/$queue/jobs`. */
  readonly target: string;
  readonly from: string;
  readonly outcome: 'done' | 'refused' | 'failed';
};

export type ManagementDesk = {
  readonly management: BrokerManagement;
  /** For the audit log. */
  record(event: ManagementEvent): void;
};
