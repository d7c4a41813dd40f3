// A peer that sends and receives over a real broker: what it hears comes as objects, transfers with their messages.

import type { TestBroker } from '../../../broker/testing/test-broker.ts';
import {
  AmqpFault,
  type Attach,
  decodeSaslFrame,
  decodeTransfer,
  FrameReader,
  FrameType,
  type Performative,
  performativeCode,
  PerformativeCode,
  ProtocolId,
  type Source,
  TransferFields,
} from '../codec/index.ts';
import { Dialogue, type DialogueOptions } from './dialogue.ts';
import { type Heard, inWords, Listener } from './frame-words.ts';
import * as frames from './peer-frames.ts';

type Flow = Extract<Performative, { type: 'flow' }>;
type Disposition = Extract<Performative, { type: 'disposition' }>;
/** `message`: the frame's part of it. */
export type HeardTransfer = Extract<Performative, { type: 'transfer' }> & { readonly message: Buffer };

let nextSerial = 1;

export class LivePeer {
  readonly dialogue: Dialogue;
  readonly #test: TestBroker;
  readonly #listener = new Listener();
  readonly #reader = new FrameReader(0xffff_ffff);
  #heard: (Heard | HeardTransfer)[] = [];
  #nextDeliveryId = 0;
  /** Frames of transfers that were heard. */
  #received = 0;

  constructor(
    test: TestBroker,
    containerId = 'peer',
    more: DialogueOptions & { readonly window?: number; readonly maxFrameSize?: number; readonly saslAnonymous?: boolean } = {},
  ) {
    this.#test = test;
    const { window = 1000, maxFrameSize, saslAnonymous = false, ...options } = more;
    // Turns are the broker's: the connection's tasks are done with them.
    this.dialogue = new Dialogue({ ...options, broker: test.broker, turn: test.turn as never, clock: test.clock });
    // As if all were of one server: their connections' broker sessions have names of their own.
    this.dialogue.server.nextSerial = nextSerial++;
    const open = { ...frames.open, containerId, ...(maxFrameSize !== undefined && { maxFrameSize }) };
    if (saslAnonymous) this.send(frames.header(ProtocolId.sasl), frames.sasl({ type: 'sasl-init', mechanism: 'ANONYMOUS' }));
    this.send(frames.header(), frames.frame(0, open), frames.frame(0, { ...frames.begin, incomingWindow: window }));
    this.heard();
  }

  send(...pieces: Uint8Array[]): void {
    this.dialogue.send(...pieces);
    this.#test.settle();
  }

  say(...performatives: Performative[]): void {
    this.send(...performatives.map((each) => frames.frame(0, each)));
  }

  sender(handle: number, address: string | undefined, more: Partial<Attach> = {}): void {
    this.say(frames.senderAttach({ handle, name: `s${handle}`, target: { type: 'target', address }, ...more }));
    const words = this.words();
    if (!words.some((each) => each.startsWith('flow'))) throw new Error(`not attached: ${words.join('; ')}`);
  }

  publish(handle: number, text: string, settled = false): void {
    this.send(frames.transfer(this.#nextDeliveryId++, text, { handle, settled }));
  }

  /** A message of several sections. */
  publishMessage(handle: number, message: Uint8Array, settled = false): void {
    const deliveryId = this.#nextDeliveryId++;
    const deliveryTag = Buffer.from(`t${deliveryId}`);
    this.send(frames.frame(0, { type: 'transfer', handle, deliveryId, deliveryTag, messageFormat: 0, settled }, message));
  }

  /** Returns the answer. */
  receiver(handle: number, source: Partial<Source> | string | undefined, more: Partial<Attach> = {}, credit = 100): Attach {
    const of: Source | undefined =
      source === undefined ? undefined : { type: 'source', ...(typeof source === 'string' ? { address: source } : source) };
    const attach: Attach = {
      type: 'attach',
      name: `r${handle}`,
      handle,
      role: 'receiver',
      source: of,
      target: { type: 'target' },
      ...more,
    };
    this.say(attach);
    const heard = this.heard();
    const answer = heard.find((each) => each.type === 'attach');
    if (answer === undefined) throw new Error(`no answer: ${heard.map(words).join('; ')}`);
    this.#heard.push(...heard.filter((each) => each !== answer));
    if (credit > 0) this.credit(handle, credit);
    return answer;
  }

  credit(handle: number, linkCredit: number, more: Partial<Flow> = {}): void {
    const window = { incomingWindow: 1000, nextOutgoingId: 0, outgoingWindow: 1000 };
    this.say({ type: 'flow', nextIncomingId: this.#received, ...window, handle, deliveryCount: 0, linkCredit, ...more });
  }

  settle(first: number, state: Disposition['state'], settled = true, last = first): void {
    this.say({ type: 'disposition', role: 'receiver', first, last, settled, state });
  }

  detach(handle: number, closed: boolean): void {
    this.say({ type: 'detach', handle, closed });
  }

  heard(): (Heard | HeardTransfer)[] {
    this.#listen();
    const heard = this.#heard;
    this.#heard = [];
    return heard;
  }

  words(): string[] {
    return this.heard().map(words);
  }

  transfers(): HeardTransfer[] {
    return this.heard().filter((each): each is HeardTransfer => each.type === 'transfer');
  }

  /** Payloads of deliveries that came in one frame and are nothing but a short data section behind what the broker adds. */
  texts(): string[] {
    return this.transfers().map(({ message }) => {
      const at = message.lastIndexOf(Buffer.from([0, 0x53, 0x75, 0xa0]));
      return message.subarray(at + 5).toString();
    });
  }

  /** The wire is gone. */
  lose(): void {
    this.dialogue.connection.onClosed();
    this.#test.settle();
  }

  #listen(): void {
    const bytes = this.dialogue.wire.takeBytes();
    const messages: Buffer[] = [];
    this.#reader.push(bytes, {
      protocolHeader: () => true,
      frame: (type, _channel, frame, start, end) => {
        if (type === FrameType.sasl) {
          const said = decodeSaslFrame(frame, start, end);
          if (said instanceof AmqpFault || said.type === 'sasl-outcome') this.#reader.expectHeader();
          return true;
        }
        const fields = new TransferFields();
        if (start === end || performativeCode(frame, start, end) !== PerformativeCode.transfer) return true;
        decodeTransfer(frame, start, end, fields);
        messages.push(Buffer.from(frame.subarray(fields.payloadStart, fields.payloadEnd)));
        return true;
      },
    });
    for (const each of this.#listener.hear(bytes)) {
      if (each.type !== 'transfer') this.#heard.push(each);
      else this.#heard.push({ ...each, message: messages.shift()! });
      if (each.type === 'transfer') this.#received++;
    }
  }
}

function words(heard: Heard | HeardTransfer): string {
  return inWords(heard as Heard);
}
