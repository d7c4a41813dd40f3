import type { ClientSession } from './client-session.ts';
import type { Consumer } from '../port.ts';

/** The connection as far as the session knows it. */
export type Attachment = {
  readonly consumer: Consumer;
  readonly receiveMaximum: number;
  readonly protocol: string;
  readonly remoteAddress: string;
  readonly listener: string;
  readonly since: number;
  /** See AttachRequest. */
  readonly canRefuse: boolean;
  /** See AttachRequest. */
  readonly connectsAs: string;
  /** The session of the connection that this one is a part of. */
  readonly partOf: ClientSession | undefined;
};
