// The seam between a session and its links. A session cuts frames, counts windows and finds the link that a frame or a
// delivery belongs to; what a link does with it is the link's. LinkHost is what a link may do to the outside: link-end.ts keeps
// this contract, one LinkEnd per handle.
//
// Every method of Link is called from the wire's side, where the broker may be called. A link that is called by the broker
// (as a Consumer) may write through its host, but must not call the broker: `host.atEnd` is for that.

import type { Output } from '../../base/output.ts';
import type { Session as BrokerSession } from '../../broker/port.ts';
import type { Principal } from '../../security/security.ts';
import type { WireFacts } from '../protocol.ts';
import type {
  AmqpFault,
  Attach,
  Condition,
  DeliveryState,
  Detach,
  Fields,
  FlowFields,
  OutgoingTransfer,
  TransferFields,
} from './codec/index.ts';
import type { ServiceNodes } from './nodes/service-nodes.ts';
import type { AmqpServer } from './server.ts';
import type { ConnectionTransactions } from './transactions.ts';

/** Why a link's session is gone: the peer ended it, the peer closed the connection, or the wire is lost (or we closed it). */
export type SessionEnd = 'ended' | 'closed' | 'lost';

export interface Link {
  /** 'in': the peer sends and we receive (its role is sender). */
  readonly direction: 'in' | 'out';

  /** The peer's flow for this link. `flow` is valid during the call. */
  onFlow(flow: FlowFields): void;

  /**
   * One transfer frame of the peer, whose payload is `bytes[start..end)`; both are valid during the call only. The session has
   * counted it and checked its window. Never called for direction 'out'.
   */
  onTransfer(transfer: TransferFields, bytes: Uint8Array, start: number, end: number): void;

  /**
   * What the peer says of one delivery that was registered with `key`. Returns whether it is settled now: then it is forgotten.
   * `settled` is the peer's; `state` is undefined when the peer gave none, and valid during the call only.
   */
  onDisposition(key: number, deliveryId: number, settled: boolean, state: DeliveryState | undefined): boolean;

  /** The peer detaches; the host answers when this returns. Not called where we detached first. */
  onDetach(detach: Detach): void;

  /** The session is gone, and with it the link. Nothing is called afterwards, and nothing may be written. */
  onSessionEnd(end: SessionEnd): void;

  /** The session's window, or the output, has room again. Only links of direction 'out' need it. */
  onWritable?(): void;
}

/** What a link answers an attach with; the host adds name, handle and role. */
export type AttachAnswer = Partial<Omit<Attach, 'name' | 'handle' | 'role'>>;

/** What a link may do. After `refuse`, after `detach`, and after Link.onSessionEnd every method does nothing. */
export interface LinkHost {
  readonly server: AmqpServer;
  readonly facts: WireFacts;
  readonly containerId: string;
  /** The link's name. */
  readonly name: string;
  /** What the peer asked for. */
  readonly asked: Attach;
  /** Who the peer is, as it is known now. */
  readonly principal: Principal;
  /** The broker session of the connection: `partOf` of the link's own. */
  readonly connectionSession: BrokerSession;
  /** Of the connection: for transfers and dispositions whose state is a transactional one. */
  readonly transactions: ConnectionTransactions;
  /** Of the connection: where links to and from the broker's own nodes meet. */
  readonly nodes: ServiceNodes;
  /** Our handle: what frames that we write carry. */
  readonly handle: number;
  readonly session: SessionSide;
  /** Its attach was answered, and neither side has detached. */
  readonly isAttached: boolean;

  /** The name of the link's own broker session: `$amqp/<container-id>/<in|out>/<link name>`. */
  readonly brokerSessionName: string;

  /**
   * Answers the attach. Once, before anything else is written. Returns false when its map of unsettled deliveries did not fit into
   * a frame of the peer: then no new deliveries may pass, only those that are resumed [AMQP 2.7.3].
   */
  attach(answer: AttachAnswer): boolean;
  /** Refuses the attach in the way of [AMQP 2.6.3]: an attach without terminus, then a detach that says why. */
  refuse(fault: LinkFault): void;
  /** Detaches an attached link. `closed`: for good. The link is not called again. */
  detach(closed: boolean, fault?: LinkFault): void;
  /** Writes a flow that tells the state of the link along with that of the session. */
  flow(state: LinkFlow): void;
  /** The link's peer broke the rules of its session: ends that session. */
  failSession(fault: AmqpFault): void;
  /** The link's peer broke the rules: closes the connection. */
  failConnection(fault: AmqpFault): void;
  /** The peer has proved anew who it is: the same tenant and id. `expiresAtMs`: wall clock, when the proof ends. */
  renew(principal: Principal, expiresAtMs: number | undefined): void;
  /** The broker has ended the connection's session: it must not be called. */
  readonly connectionIsGone: boolean;
  /**
   * Stops reading from the peer until called with false: what was granted may be more than memory. One call of each kind in turn.
   * Works also when the link is over.
   */
  holdReading(on: boolean): void;
  /** Counts bytes that are kept of deliveries which are not whole. False: the connection has too many; they count all the same. */
  keepBytes(change: number): boolean;
  /** The peer is to prove by a token on `$cbs` who it is, and has not: nothing else may be done. */
  readonly isPending: boolean;
  /** It has. Answers whether the broker has given it a session; perhaps from within a call of the broker's. */
  prove(principal: Principal, expiresAtMs: number | undefined, answer: (ok: boolean) => void): void;
  /** Runs `task` at the end of this turn, outside of any call by the broker, unless the session is gone by then. */
  atEnd(task: () => void): void;
}

export type LinkFault = { readonly condition: Condition; readonly message: string; readonly info?: Fields };

export type LinkFlow = {
  readonly deliveryCount: number;
  readonly linkCredit: number;
  readonly available?: number;
  readonly drain?: boolean;
  readonly echo?: boolean;
};

/** What links share of their session. */
export interface SessionSide {
  /** What our frames carry. */
  readonly channel: number;
  readonly output: Output;
  /** Largest frame that the peer takes. */
  readonly maxFrameBytes: number;
  /** Transfer frames that may still be sent. */
  readonly outgoingWindow: number;
  /** No delivery may be begun now: no window, frames that wait for it, or an output above its mark. */
  readonly congested: boolean;
  /** The output is over its limit: what is delivered at most once is dropped. */
  readonly outputFull: boolean;

  /**
   * Allocates the id of a delivery that is sent next. Unless `settled`, the peer's dispositions for it come to `link` with `key`
   * (0 to 4,294,967,295).
   */
  beginDelivery(link: Link, key: number, settled: boolean): number;
  /**
   * Writes a delivery, in as many frames as it takes. Frames that find no window wait, with bytes of their own: `transfer` is the
   * caller's again at once. The session is congested until they are gone.
   */
  transfer(transfer: OutgoingTransfer): void;

  /** Deliveries that the peer sent: those that are not settled at once are told here, so that its dispositions come to `link`. */
  receivedUnsettled(link: Link, deliveryId: number, key: number): void;
  /** Settled by us: no disposition of the peer is expected any more. `sent`: of those that we sent. */
  forget(side: 'sent' | 'received', deliveryId: number): void;

  /**
   * The link is detached, and its terminus lives until the session or connection ends [AMQP 3.5.6]: Link.onSessionEnd is called for
   * it, too. It counts among the links of its connection until `resumed`. False: there are too many.
   */
  suspended(link: Link): boolean;
  /** Its terminus is over, or another link has it. */
  resumed(link: Link): void;

  /**
   * Says what became of a delivery, at the end of the turn at the latest; runs of the same answer go out as one frame. `side`:
   * whether we sent it, or received it.
   */
  disposition(side: 'sent' | 'received', deliveryId: number, settled: boolean, state: DeliveryState | undefined): void;
}
