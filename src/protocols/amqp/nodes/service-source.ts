// A link on which one of the broker's own nodes answers a peer. Answers are sent settled; they wait, a few, for credit.

import type { ServiceNode } from '../address.ts';
import { type FlowFields, OutgoingTransfer } from '../codec/index.ts';
import type { Link, LinkHost } from '../link.ts';

/** Answers that wait for credit. Stop a peer that asks and asks and does not listen: an answer may be large, and repeats what was asked. */
const maxWaiting = 20;
const maxWaitingBytes = 256 * 1024;

const transfer = new OutgoingTransfer();

export class ServiceSource implements Link {
  readonly direction = 'out';
  readonly node: ServiceNode;
  /** Of its target: what requests name by reply-to. */
  readonly address: string | undefined;
  readonly name: string;
  readonly #host: LinkHost;
  readonly #waiting: Uint8Array[] = [];
  #waitingBytes = 0;
  #deliveryCount = 0;
  #credit = 0;

  /** Answers the attach. */
  constructor(host: LinkHost, node: ServiceNode) {
    this.#host = host;
    this.node = node;
    this.name = host.name;
    const { target, rcvSettleMode } = host.asked;
    this.address = target?.type === 'target' ? target.address : undefined;
    host.nodes.join(this);
    host.attach({ sndSettleMode: 1, rcvSettleMode, source: { type: 'source', address: node }, target, initialDeliveryCount: 0 });
  }

  /** Returns false when too many wait already. */
  send(message: Uint8Array): boolean {
    const isFull = this.#waiting.length >= maxWaiting || this.#waitingBytes + message.length > maxWaitingBytes;
    // One may always wait, however large it is.
    if (isFull && this.#waiting.length > 0) return false;
    this.#waiting.push(message);
    this.#waitingBytes += message.length;
    this.#pump();
    return true;
  }

  onFlow(flow: FlowFields): void {
    // [AMQP 2.6.7] What the peer has not seen of our deliveries is still to come off its credit.
    const seen = flow.deliveryCount < 0 ? 0 : flow.deliveryCount;
    if (flow.linkCredit >= 0) this.#credit = Math.max(0, (seen + flow.linkCredit - this.#deliveryCount) | 0);
    this.#pump();
    if (flow.drain && this.#credit > 0) {
      this.#deliveryCount = (this.#deliveryCount + this.#credit) >>> 0;
      this.#credit = 0;
      this.#tell(true);
    } else if (flow.echo) {
      this.#tell(false);
    }
  }

  #tell(drain: boolean): void {
    this.#host.flow({ deliveryCount: this.#deliveryCount, linkCredit: this.#credit, available: this.#waiting.length, drain });
  }

  #pump(): void {
    const { session, handle } = this.#host;
    while (this.#credit > 0 && !session.congested) {
      const message = this.#waiting.shift();
      if (message === undefined) return;
      this.#waitingBytes -= message.length;
      const tag = this.#deliveryCount;
      this.#credit--;
      this.#deliveryCount = (this.#deliveryCount + 1) >>> 0;
      const deliveryId = session.beginDelivery(this, 0, true);
      transfer.begin(handle, deliveryId, tag).add(message, 0, message.length);
      transfer.settled = true;
      session.transfer(transfer);
    }
  }

  onWritable(): void {
    this.#pump();
  }

  onTransfer(): void {}

  onDisposition(): boolean {
    return true;
  }

  onDetach(): void {
    this.#host.nodes.leave(this);
  }

  onSessionEnd(): void {
    this.#host.nodes.leave(this);
  }
}
