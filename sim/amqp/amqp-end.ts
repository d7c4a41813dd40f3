// The client's end of one AMQP connection, as plain as the standard allows: SASL, one session, links, windows and credit. Without
// I/O: bytes come in by `receive` and go out by `send`. What outlives a connection is its owner's.

import { Output } from '../../src/base/output.ts';
import {
  AmqpFault,
  decodePerformative,
  decodeSaslFrame,
  decodeTransfer,
  FrameReader,
  FrameType,
  FrameWriter,
  latin1Of,
  OutgoingTransfer,
  PerformativeCode,
  performativeCode,
  ProtocolId,
  TransferFields,
  type Attach,
  type DeliveryState,
  type Detach,
  type Disposition,
  type Flow,
  type Performative,
} from '../../src/protocols/amqp/codec/index.ts';

export type EndOptions = {
  readonly containerId: string;
  /** Empty: nobody. */
  readonly username: string;
  readonly password: string;
  readonly maxFrameSize: number;
  /** Sends everything up to the links before the first answer. */
  readonly pipelined: boolean;
};

export interface EndEvents {
  send(bytes: Uint8Array): void;
  /** The broker has answered the open and the begin. */
  opened(): void;
  /** The broker closes, or has broken a rule (`fault`). Nothing more comes. */
  ended(why: string, fault: boolean): void;
}

/** One whole delivery from the broker. */
export type Delivery = {
  readonly deliveryId: number;
  readonly tag: string;
  readonly settled: boolean;
  readonly resume: boolean;
  readonly state: DeliveryState | undefined;
  readonly message: Uint8Array;
};

export interface LinkEvents {
  attached(answer: Attach): void;
  detached(detach: Detach): void;
  delivery(delivery: Delivery): void;
  /** What the broker says of a delivery: one of ours, or one of its own. */
  disposed(tag: string, settled: boolean, state: DeliveryState | undefined): void;
  /** There is credit, or a drain was answered. */
  flowed(): void;
}

const window = 64;
const channel = 3;

export class EndLink {
  readonly name: string;
  readonly handle: number;
  readonly isSender: boolean;
  readonly events: LinkEvents;
  attached = false;
  credit = 0;
  deliveryCount = 0;
  draining = false;
  partial: { readonly fields: Omit<Delivery, 'message'>; readonly pieces: Uint8Array[] } | undefined = undefined;

  constructor(name: string, handle: number, isSender: boolean, events: LinkEvents) {
    this.name = name;
    this.handle = handle;
    this.isSender = isSender;
    this.events = events;
  }
}

type Known = { readonly link: EndLink; readonly tag: string };

export class AmqpEnd {
  readonly #options: EndOptions;
  readonly #events: EndEvents;
  readonly #output = new Output(() => {});
  readonly #writer = new FrameWriter(this.#output, 512);
  readonly #reader = new FrameReader(512);
  readonly #fields = new TransferFields();
  readonly #links: EndLink[] = [];
  readonly #byTheirHandle = new Map<number, EndLink>();
  readonly #sent = new Map<number, Known>();
  readonly #received = new Map<number, Known>();
  readonly #waiting: OutgoingTransfer[] = [];
  #nextOutgoingId = 0;
  #theirWindow = 0;
  #incomingId = 0;
  #inWindow = window;
  #ended = false;
  isOpen = false;

  constructor(options: EndOptions, events: EndEvents) {
    this.#options = options;
    this.#events = events;
  }

  begin(): void {
    const { username, password, pipelined } = this.#options;
    this.#writer.protocolHeader(ProtocolId.sasl);
    if (username === '') this.#writer.sasl({ type: 'sasl-init', mechanism: 'ANONYMOUS' });
    else this.#writer.sasl({ type: 'sasl-init', mechanism: 'PLAIN', initialResponse: Buffer.from(`\0${username}\0${password}`) });
    if (pipelined) this.#open();
    this.#flush();
  }

  #open(): void {
    const { containerId, maxFrameSize } = this.#options;
    this.#writer.protocolHeader(ProtocolId.amqp);
    this.#say({ type: 'open', containerId, hostname: 'sim', maxFrameSize, channelMax: 8, idleTimeOut: 60_000 }, 0);
    this.#say({ type: 'begin', nextOutgoingId: 0, incomingWindow: window, outgoingWindow: window, handleMax: 1000 });
  }

  /** I am alive. */
  beat(): void {
    if (!this.isOpen) return;
    this.#writer.empty();
    this.#flush();
  }

  close(): void {
    this.#say({ type: 'close' }, 0);
    this.#flush();
  }

  attach(isSender: boolean, attach: Omit<Attach, 'type' | 'handle' | 'role'>, events: LinkEvents): EndLink {
    const link = new EndLink(attach.name, this.#links.length, isSender, events);
    this.#links.push(link);
    const role = isSender ? 'sender' : 'receiver';
    this.#say({ type: 'attach', handle: link.handle, role, ...(isSender ? { initialDeliveryCount: 0 } : {}), ...attach });
    this.#flush();
    return link;
  }

  detach(link: EndLink, closed: boolean): void {
    if (!link.attached) return;
    link.attached = false;
    this.#say({ type: 'detach', handle: link.handle, closed });
    this.#flush();
  }

  /** Grants credit, or takes back what is left of it by a drain. */
  flow(link: EndLink, credit: number, drain: boolean): void {
    link.credit = credit;
    link.draining = drain;
    this.#flow({ handle: link.handle, deliveryCount: link.deliveryCount, linkCredit: credit, drain });
  }

  /** Returns false when there is no credit. `state`: transactional, or of a delivery that is resumed. */
  transfer(link: EndLink, tag: string, message: Uint8Array, how: { settled: boolean; resume?: boolean; state?: DeliveryState }): boolean {
    if (!link.attached || link.credit <= 0) return false;
    link.credit--;
    link.deliveryCount = (link.deliveryCount + 1) >>> 0;
    const deliveryId = this.#nextOutgoingId;
    // Each frame takes an id of its own in the window; the delivery's is that of its first.
    const transfer = new OutgoingTransfer().begin(link.handle, deliveryId, 0).add(message, 0, message.length);
    transfer.tagBytes = Buffer.from(tag, 'latin1');
    transfer.settled = how.settled;
    transfer.resume = how.resume ?? false;
    transfer.state = how.state;
    this.#waiting.push(transfer);
    if (!how.settled) this.#pendingKnown.set(transfer, { link, tag });
    this.#pump();
    return true;
  }

  readonly #pendingKnown = new Map<OutgoingTransfer, Known>();

  #pump(): void {
    while (this.#waiting.length > 0 && this.#theirWindow > 0) {
      const transfer = this.#waiting[0]!;
      if (!transfer.begun) {
        transfer.deliveryId = this.#nextDeliveryId++;
        const known = this.#pendingKnown.get(transfer);
        if (known !== undefined) this.#sent.set(transfer.deliveryId, known);
        this.#pendingKnown.delete(transfer);
      }
      const frames = this.#writer.transfer(channel, transfer, this.#theirWindow);
      this.#theirWindow -= frames;
      this.#nextOutgoingId = (this.#nextOutgoingId + frames) >>> 0;
      if (transfer.done) this.#waiting.shift();
    }
    this.#flush();
  }

  #nextDeliveryId = 0;

  /** Says what became of the broker's delivery (`ours` false), or settles one of ours. */
  dispose(ours: boolean, deliveryId: number, settled: boolean, state: DeliveryState | undefined): void {
    if (this.#ended) return;
    this.#writer.disposition(channel, !ours, deliveryId, deliveryId, settled, state);
    if (settled) (ours ? this.#sent : this.#received).delete(deliveryId);
    this.#flush();
  }

  linkNamed(name: string): EndLink | undefined {
    return this.#links.find((link) => link.name === name);
  }

  /** The id of a delivery of ours by its tag; undefined: it is settled, or was not sent on this connection. */
  idOf(link: EndLink, tag: string): number | undefined {
    for (const [id, known] of this.#sent) if (known.link === link && known.tag === tag) return id;
    return undefined;
  }

  receive(bytes: Uint8Array): void {
    const fault = this.#reader.push(bytes, {
      protocolHeader: (id) => {
        if (id === ProtocolId.amqp) this.#reader.maxFrameSize = this.#options.maxFrameSize;
        return !this.#ended;
      },
      frame: (type, at, body, start, end) => {
        if (start < end) {
          if (type === FrameType.sasl) this.#sasl(body, start, end);
          else this.#frame(at, body, start, end);
        }
        return !this.#ended;
      },
    });
    if (fault !== undefined) this.#fail(`cannot read what the node sent: ${fault.message}`);
  }

  #sasl(body: Uint8Array, start: number, end: number): void {
    const frame = decodeSaslFrame(body, start, end);
    if (frame instanceof AmqpFault) return this.#fail(`cannot decode a SASL frame: ${frame.message}`);
    if (frame.type !== 'sasl-outcome') return;
    if (frame.code !== 0) return this.#end('refused by SASL', false);
    this.#reader.expectHeader();
    if (!this.#options.pipelined) {
      this.#open();
      this.#flush();
    }
  }

  #frame(at: number, body: Uint8Array, start: number, end: number): void {
    if (performativeCode(body, start, end) === PerformativeCode.transfer) return this.#transfer(body, start, end);
    const performative = decodePerformative(body, start, end);
    if (performative instanceof AmqpFault) return this.#fail(`cannot decode a frame: ${performative.message}`);
    switch (performative.type) {
      case 'open':
        this.#writer.maxFrameSize = Math.min(performative.maxFrameSize ?? 0xffff_ffff, this.#options.maxFrameSize);
        return;
      case 'begin':
        this.#theirWindow = performative.incomingWindow;
        this.#incomingId = performative.nextOutgoingId;
        this.isOpen = true;
        return this.#events.opened();
      case 'attach':
        return this.#attached(performative);
      case 'detach':
        return this.#detached(performative);
      case 'flow':
        return this.#flowed(performative);
      case 'disposition':
        return this.#disposed(performative);
      case 'end':
        return this.#end(
          `session ended: ${performative.error?.condition} ${performative.error?.description}`,
          performative.error !== undefined,
        );
      case 'close':
        return this.#end(
          `closed: ${performative.error?.condition} ${performative.error?.description}`,
          isFault(performative.error?.condition),
        );
      default:
        return this.#fail(`unexpected ${performative.type} on channel ${at}`);
    }
  }

  #attached(attach: Attach): void {
    const link = this.#links.find(({ name, isSender }) => name === attach.name && isSender === (attach.role === 'receiver'));
    if (link === undefined) return this.#fail(`an attach of ${attach.name}, which was not asked for`);
    this.#byTheirHandle.set(attach.handle, link);
    link.attached = true;
    if (!link.isSender) link.deliveryCount = attach.initialDeliveryCount ?? 0;
    link.events.attached(attach);
  }

  #detached(detach: Detach): void {
    const link = this.#byTheirHandle.get(detach.handle);
    this.#byTheirHandle.delete(detach.handle);
    if (link === undefined) return;
    if (link.attached) this.#say({ type: 'detach', handle: link.handle, closed: detach.closed });
    link.attached = false;
    for (let i = this.#waiting.length - 1; i >= 0; i--) if (this.#waiting[i]!.handle === link.handle) this.#waiting.splice(i, 1);
    for (const known of [this.#sent, this.#received]) for (const [id, { link: of }] of known) if (of === link) known.delete(id);
    link.events.detached(detach);
    this.#flush();
  }

  #flowed(flow: Flow): void {
    // [AMQP 2.5.6]
    this.#theirWindow = ((flow.nextIncomingId ?? 0) + flow.incomingWindow - this.#nextOutgoingId) | 0;
    const link = flow.handle === undefined ? undefined : this.#byTheirHandle.get(flow.handle);
    if (link?.isSender === true) {
      link.credit = ((flow.deliveryCount ?? 0) + (flow.linkCredit ?? 0) - link.deliveryCount) | 0;
      if (flow.drain === true && link.credit > 0) {
        // [AMQP 2.6.7] Nothing waits: the credit is used up.
        link.deliveryCount = (link.deliveryCount + link.credit) >>> 0;
        link.credit = 0;
        this.#flow({ handle: link.handle, deliveryCount: link.deliveryCount, linkCredit: 0, drain: true });
      }
      link.events.flowed();
    } else if (link !== undefined && flow.deliveryCount !== undefined) {
      link.deliveryCount = flow.deliveryCount;
      if (link.draining && (flow.linkCredit ?? 0) === 0) {
        link.draining = false;
        link.credit = 0;
        link.events.flowed();
      }
    }
    if (flow.echo === true) this.#flow({});
    this.#pump();
  }

  #transfer(body: Uint8Array, start: number, end: number): void {
    const fields = this.#fields;
    const fault = decodeTransfer(body, start, end, fields);
    if (fault !== undefined) return this.#fail(`cannot decode a transfer: ${fault.message}`);
    this.#incomingId = (this.#incomingId + 1) >>> 0;
    if (--this.#inWindow < 0) return this.#fail('a transfer beyond the window of the session');
    const link = this.#byTheirHandle.get(fields.handle);
    if (link === undefined) return this.#fail(`a transfer on handle ${fields.handle}, which is not attached`);
    const piece = Uint8Array.from(body.subarray(fields.payloadStart, fields.payloadEnd));
    if (link.partial === undefined) {
      link.credit--;
      link.deliveryCount = (link.deliveryCount + 1) >>> 0;
      if (link.credit < 0) this.#fail(`a delivery on ${link.name} without credit`);
      const tag = latin1Of(body, fields.tagStart, fields.tagEnd);
      const { deliveryId, settled, resume, state } = fields;
      link.partial = { fields: { deliveryId, tag, settled, resume, state }, pieces: [piece] };
    } else link.partial.pieces.push(piece);
    if (!fields.more) {
      const { fields: first, pieces } = link.partial;
      link.partial = undefined;
      if (!fields.aborted) {
        const settled = first.settled || fields.settled;
        if (!settled) this.#received.set(first.deliveryId, { link, tag: first.tag });
        link.events.delivery({ ...first, settled, message: Buffer.concat(pieces) });
      }
    }
    if (this.#inWindow < window / 2) this.#flow({});
  }

  #disposed({ role, first, last = first, settled = false, state }: Disposition): void {
    const known = role === 'receiver' ? this.#sent : this.#received;
    for (let id = first; id !== (last + 1) >>> 0; id = (id + 1) >>> 0) {
      const found = known.get(id);
      if (found === undefined) continue;
      if (settled) known.delete(id);
      found.link.events.disposed(found.tag, settled, state);
      if (this.#ended) return;
    }
  }

  #flow(link: Partial<Flow>): void {
    if (this.#ended) return;
    this.#inWindow = window;
    this.#say({
      type: 'flow',
      nextIncomingId: this.#incomingId,
      incomingWindow: window,
      nextOutgoingId: this.#nextOutgoingId,
      outgoingWindow: window,
      ...link,
    });
    this.#flush();
  }

  #say(performative: Performative, at = channel): void {
    if (this.#ended) return;
    const fault = this.#writer.performative(at, performative);
    if (fault !== undefined) this.#fail(`cannot write ${performative.type}: ${fault.message}`);
  }

  #flush(): void {
    const chunks = this.#output.takeChunks();
    if (chunks.length > 0) this.#events.send(Buffer.concat(chunks));
  }

  #fail(why: string): void {
    this.#end(why, true);
  }

  #end(why: string, fault: boolean): void {
    if (this.#ended) return;
    this.#ended = true;
    this.isOpen = false;
    this.#events.ended(why, fault);
  }
}

/** Conditions that say that we have done something wrong. */
function isFault(condition: string | undefined): boolean {
  return condition !== undefined && !/connection:forced|internal-error|resource-limit/.test(condition);
}
