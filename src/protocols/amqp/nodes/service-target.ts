// A link on which a peer asks one of the broker's own nodes.

import type { ServiceNode } from '../address.ts';
import { acceptedState, AmqpFault, type FlowFields, type TransferFields } from '../codec/index.ts';
import type { Link, LinkHost } from '../link.ts';
import { type IncomingRequest, rejectedBy, RequestIntake } from '../request-intake.ts';
import { readRequest } from './service-message.ts';

/**
 * A token is the largest thing that is sent here, and whoever puts it may be a stranger. What is asked of `$management` may cost a
 * look at all sessions.
 */
const limits = { maxRequestBytes: 64 * 1024, maxRequests: 5 };

export class ServiceTarget implements Link {
  readonly direction = 'in';
  readonly #node: ServiceNode;
  readonly #host: LinkHost;
  readonly #intake: RequestIntake;
  #isOver = false;

  /** Answers the attach. */
  constructor(host: LinkHost, node: ServiceNode) {
    this.#host = host;
    this.#node = node;
    this.#intake = new RequestIntake(host, this, limits, (request) => this.#request(request));
    host.nodes.targetCame(host);
    const { sndSettleMode, source } = host.asked;
    host.attach({
      sndSettleMode,
      rcvSettleMode: 0,
      source,
      target: { type: 'target', address: node },
      maxMessageSize: BigInt(limits.maxRequestBytes),
    });
    this.#intake.grant();
  }

  onFlow(flow: FlowFields): void {
    if (flow.echo) this.#intake.grantSoon();
  }

  onTransfer(transfer: TransferFields, bytes: Uint8Array, start: number, end: number): void {
    this.#intake.onTransfer(transfer, bytes, start, end);
  }

  onDisposition(): boolean {
    return false;
  }

  onDetach(): void {
    this.#isOver = true;
  }

  onSessionEnd(): void {
    this.#isOver = true;
  }

  #request(incoming: IncomingRequest): void {
    const request = readRequest(incoming.bytes);
    if (request instanceof AmqpFault) return this.#intake.answer(incoming, rejectedBy(request));
    this.#host.nodes.ask(this.#node, request, this.#host, (fault) => {
      if (!this.#isOver) this.#intake.answer(incoming, fault === undefined ? acceptedState : rejectedBy(fault));
    });
  }
}
