// What an operator may see and do of sessions, queues and retained messages. Everything names its tenant; pages are in the order
// of names. Asked by the management interface, which has already decided whether the asker may.

import type { Message } from '../message/message.ts';
import type { CloseReason } from './port.ts';

export type PageOf<T> = { readonly entries: readonly T[]; readonly next: string | undefined };
export type PageOptions = { readonly limit: number; readonly after?: string | undefined; readonly prefix?: string | undefined };

/** `parts: false`: without links, which are no connections of their own. */
export type SessionOptions = PageOptions & { readonly connected?: boolean; readonly principal?: string; readonly parts?: boolean };

export type SessionView = {
  readonly tenant: string;
  readonly clientId: string;
  readonly principal: string;
  readonly protocol: string;
  readonly connected: boolean;
  /** It is a link: a part of a connection, which is a session of its own. */
  readonly isPart: boolean;
  /** Client id of that connection's session, as long as it is attached. */
  readonly partOf: string | undefined;
  readonly durable: boolean;
  /** Of the connection there is; undefined without one. */
  readonly remoteAddress: string | undefined;
  readonly listener: string | undefined;
  readonly connectedAtMs: number | undefined;
  readonly disconnectedAtMs: number | undefined;
  /** Infinity: for ever. */
  readonly expiryMs: number;
  readonly subscriptions: number;
  readonly queuedMessages: number;
  readonly queuedBytes: number;
  readonly unsettled: number;
};

export type SubscriptionView = { readonly filter: string; readonly guarantee: 0 | 1 | 2; readonly noLocal: boolean };

export type QueueView = {
  readonly tenant: string;
  /** `$queue/jobs`, `$share/group/filter`, or `inbox/<clientId>`. */
  readonly name: string;
  readonly kind: 'inbox' | 'shared' | 'named' | 'delayed';
  readonly durable: boolean;
  readonly messages: number;
  readonly bytes: number;
  readonly consumers: number;
  readonly unsettled: number;
  /** Higher priorities are delivered first. */
  readonly priorities: boolean;
  /** One consumer at a time. */
  readonly singleActive: boolean;
  /** How often delivering a message may fail; 0: without limit. */
  readonly maxDeliveries: number;
  /** Name of the named queue for dead messages; undefined: they are dropped. */
  readonly deadLetterQueue: string | undefined;
  /** Messages that went there since the node's start. */
  readonly deadLettered: number;
  /** Messages on their way to another queue: dead ones for which there is no room yet, or such as an operator moves. */
  readonly leaving: number;
};

/** A message as it waits; its payload may have to be read back first. */
export type QueuedMessage = {
  readonly position: string;
  readonly message: Message;
  readonly unsettled: boolean;
  /** How often delivering it has failed. */
  readonly deliveryCount: number;
};

export type ManagementFault = { readonly code: 'not-found' | 'busy' | 'full' | 'unavailable'; readonly message: string };
export type ManagementResult<T> = { readonly ok: true; readonly value: T } | { readonly ok: false; readonly error: ManagementFault };

export interface BrokerManagement {
  readonly tenants: readonly string[];
  sessions(tenant: string, options: SessionOptions): PageOf<SessionView>;
  session(
    tenant: string,
    clientId: string,
  ): { readonly session: SessionView; readonly subscriptions: readonly SubscriptionView[] } | undefined;
  /** Ends the connection; a durable session stays. */
  disconnect(tenant: string, clientId: string, reason: CloseReason): boolean;
  /** Ends the session with its queue. Answers when that is durable. */
  endSession(tenant: string, clientId: string): Promise<ManagementResult<{ readonly messages: number }>>;

  queues(tenant: string, options: PageOptions): PageOf<QueueView>;
  /** A named queue (`$queue/jobs`). Answers when that is durable; one that is there already stays as it is. */
  createQueue(tenant: string, name: string): Promise<ManagementResult<{ readonly created: boolean }>>;
  /** Only a named one that nobody consumes; what waits in it is dropped, counted as in `purge`. Answers when that is durable. */
  deleteQueue(tenant: string, name: string): Promise<ManagementResult<{ readonly messages: number }>>;
  /** Oldest first, without taking them; `after` is a `position`. */
  browse(tenant: string, name: string, options: PageOptions): Promise<ManagementResult<PageOf<QueuedMessage>>>;
  /** Drops what waits and is not with a consumer; counted as purged in the ledger. Answers when that is durable. */
  purge(tenant: string, name: string): Promise<ManagementResult<{ readonly messages: number }>>;
  /** Puts what waits, oldest first, behind what waits in `to`; each is in one of both queues at every moment. */
  move(tenant: string, from: string, to: string, maxMessages: number): Promise<ManagementResult<{ readonly messages: number }>>;

  /** Topics that match `filter`. */
  retained(tenant: string, filter: string, options: PageOptions): Promise<PageOf<Message>>;
  /** Answers when that is durable; false: there was none. */
  clearRetained(tenant: string, topic: string): Promise<ManagementResult<boolean>>;
}
