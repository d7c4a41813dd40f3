// What a peer sends, as bytes.

import { Output } from '../../../base/output.ts';
import { type Attach, type Begin, FrameWriter, type Open, type Performative, ProtocolId, type SaslFrame } from '../codec/index.ts';

/** What the writer leaves in an output of its own. */
function bytesOf(write: (frames: FrameWriter) => void): Uint8Array {
  const output = new Output(() => {});
  write(new FrameWriter(output, 0xffff_ffff));
  return new Uint8Array(Buffer.concat(output.takeChunks()));
}

export function header(id: number = ProtocolId.amqp): Uint8Array {
  return bytesOf((frames) => frames.protocolHeader(id));
}

export function frame(channel: number, performative: Performative, payload?: Uint8Array): Uint8Array {
  return bytesOf((frames) => frames.performative(channel, performative, payload));
}

export function sasl(saslFrame: SaslFrame): Uint8Array {
  return bytesOf((frames) => frames.sasl(saslFrame));
}

export function emptyFrame(): Uint8Array {
  return bytesOf((frames) => frames.empty());
}

export const open: Open = { type: 'open', containerId: 'peer' };
export const begin: Begin = { type: 'begin', nextOutgoingId: 0, incomingWindow: 1000, outgoingWindow: 1000 };

export function senderAttach(more: Partial<Attach> = {}): Attach {
  return {
    type: 'attach',
    name: 'link',
    handle: 0,
    role: 'sender',
    initialDeliveryCount: 0,
    source: { type: 'source' },
    target: { type: 'target', address: 'a' },
    ...more,
  };
}

/** A message that is one data section. */
export function dataMessage(text: string): Uint8Array {
  const payload = Buffer.from(text);
  if (payload.length > 255) {
    const head = Buffer.from([0, 0x53, 0x75, 0xb0, 0, 0, 0, 0]);
    head.writeUInt32BE(payload.length, 4);
    return new Uint8Array(Buffer.concat([head, payload]));
  }
  return new Uint8Array(Buffer.concat([Buffer.from([0, 0x53, 0x75, 0xa0, payload.length]), payload]));
}

export type TransferMore = Partial<Omit<Extract<Performative, { type: 'transfer' }>, 'type'>>;

/** A delivery in one frame, with its id as its tag. */
export function transfer(deliveryId: number, text: string, more: TransferMore = {}): Uint8Array {
  const fields = { handle: 0, deliveryId, deliveryTag: Buffer.from(`t${deliveryId}`), messageFormat: 0, ...more };
  return frame(0, { type: 'transfer', ...fields }, dataMessage(text));
}
