// The link to the coordinator of transactions [AMQP 4.2] [AMQP 4.3]: a peer declares them here, and discharges them.

import { Outcome } from '../../broker/port.ts';
import {
  acceptedState,
  AmqpFault,
  Condition,
  type Declare,
  decodeCoordination,
  decodeFault,
  type DeliveryState,
  type Detach,
  type Discharge,
  type FlowFields,
  MessageSections,
  scanMessage,
  SectionCode,
  type TransferFields,
} from './codec/index.ts';
import { wordsOf } from './conditions.ts';
import type { Link, LinkHost, SessionEnd } from './link.ts';
import { type IncomingRequest, rejectedBy, RequestIntake } from './request-intake.ts';

/** What it can do [AMQP 4.5.2]: no transactions over several brokers. */
const capabilities = ['amqp:local-transactions', 'amqp:multi-txns-per-ssn', 'amqp:multi-ssns-per-txn'] as const;
const limits = { maxRequestBytes: 4096, maxRequests: 100 };
const rejectedOutcome = 'amqp:rejected:list';

const sections = new MessageSections();

export class CoordinatorLink implements Link {
  readonly direction = 'in';
  readonly #host: LinkHost;
  readonly #intake: RequestIntake;
  /** The peer can be told by an outcome why a transaction came to nothing. */
  readonly #takesRejected: boolean;
  #isOver = false;

  /** Answers the attach. */
  constructor(host: LinkHost) {
    this.#host = host;
    const { source } = host.asked;
    this.#takesRejected = source?.outcomes === undefined || source.outcomes.length === 0 || source.outcomes.includes(rejectedOutcome);
    this.#intake = new RequestIntake(host, this, limits, (request) => this.#request(request));
    host.attach({
      sndSettleMode: host.asked.sndSettleMode,
      rcvSettleMode: 0,
      source,
      target: { type: 'coordinator', capabilities },
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

  onDetach(_detach: Detach): void {
    this.#end();
  }

  onSessionEnd(_end: SessionEnd): void {
    this.#end();
  }

  /** What it declared and did not discharge is rolled back [AMQP 4.3]. */
  #end(): void {
    this.#isOver = true;
    this.#host.transactions.controllerWent(this);
  }

  #request(request: IncomingRequest): void {
    // [AMQP 4.2] [AMQP 4.3] Nobody would learn what came of it.
    if (request.settled)
      return this.#refuse(request, new AmqpFault(Condition.notAllowed, 'a request to the coordinator cannot be settled'));
    const asked = coordinationOf(request.bytes);
    if (asked instanceof AmqpFault) return this.#refuse(request, asked);
    if (asked.type === 'declare') this.#declare(request, asked);
    else this.#discharge(request, asked);
  }

  #declare(request: IncomingRequest, { globalId }: Declare): void {
    if (globalId !== undefined && globalId.type !== 'null') {
      return this.#refuse(request, new AmqpFault(Condition.notImplemented, 'there are no distributed transactions'));
    }
    const declared = this.#host.transactions.declare(this);
    if (typeof declared === 'number') return this.#refuse(request, wordsOf(declared === Outcome.accepted ? Outcome.unavailable : declared));
    this.#intake.answer(request, { type: 'declared', txnId: declared.id });
  }

  #discharge(request: IncomingRequest, { txnId, fail }: Discharge): void {
    const { transactions } = this.#host;
    if (fail !== true && transactions.hasPartial(txnId)) {
      // [AMQP 4.4.1]
      transactions.discharge(txnId, true, () => {});
      this.#host.detach(true, { condition: Condition.transactionRollback, message: 'a delivery in the transaction is not whole' });
      return this.#end();
    }
    transactions.discharge(txnId, fail === true, (fault) => {
      if (this.#isOver) return;
      if (fault !== undefined) this.#refuse(request, fault);
      else this.#intake.answer(request, acceptedState);
    });
  }

  /** [AMQP 4.3] By an outcome if the peer knows it, else by ending the link. */
  #refuse(request: IncomingRequest, fault: Pick<AmqpFault, 'condition' | 'message'>): void {
    if (this.#takesRejected && !request.settled) return this.#intake.answer(request, rejectedBy(fault) satisfies DeliveryState);
    this.#host.detach(true, fault);
    this.#end();
  }
}

function coordinationOf(bytes: Uint8Array): Declare | Discharge | AmqpFault {
  const fault = scanMessage(bytes, 0, bytes.length, sections);
  if (fault !== undefined) return fault;
  if (sections.bodyKind !== SectionCode.value) return decodeFault('the coordinator takes messages with one value');
  return decodeCoordination(bytes, sections.bodyStart, sections.bodyEnd);
}
