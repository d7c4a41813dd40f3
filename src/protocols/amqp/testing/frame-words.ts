// What the broker has said, in words that are short enough for tests.

import {
  AmqpFault,
  type DeliveryState,
  decodePerformative,
  decodeSaslFrame,
  FrameReader,
  FrameType,
  type Performative,
  type SaslFrame,
} from '../codec/index.ts';

export type Heard =
  | { readonly type: 'header'; readonly id: number }
  | { readonly type: 'empty' }
  | SaslFrame
  | (Performative & { readonly channel: number });

/** Cuts what came out of a wire. It may begin with a header; another one may follow the outcome of SASL. */
export class Listener {
  readonly #reader = new FrameReader(0xffff_ffff);

  hear(bytes: Uint8Array): Heard[] {
    const heard: Heard[] = [];
    const reader = this.#reader;
    const sink = {
      protocolHeader(id: number): boolean {
        heard.push({ type: 'header', id });
        return true;
      },
      frame(type: number, channel: number, frame: Uint8Array, start: number, end: number): boolean {
        if (start === end) return heard.push({ type: 'empty' }) > 0;
        const what = type === FrameType.sasl ? decodeSaslFrame(frame, start, end) : decodePerformative(frame, start, end);
        if (what instanceof AmqpFault) throw new Error(`the broker wrote what cannot be read: ${what.message}`);
        if (what.type === 'sasl-outcome') reader.expectHeader();
        heard.push('channel' in what || type === FrameType.sasl ? (what as SaslFrame) : { ...(what as Performative), channel });
        return true;
      },
    };
    const fault = reader.push(bytes, sink);
    if (fault !== undefined) throw new Error(`the broker wrote what is no frame: ${fault.message}`);
    return heard;
  }
}

export function inWords(heard: Heard): string {
  switch (heard.type) {
    case 'header':
      return `header ${heard.id}`;
    case 'sasl-mechanisms':
      return `mechanisms ${heard.saslServerMechanisms.join(' ')}`;
    case 'sasl-challenge':
      return `challenge ${Buffer.from(heard.challenge).toString()}`;
    case 'sasl-outcome':
      return `outcome ${heard.code}${heard.additionalData === undefined ? '' : ` ${Buffer.from(heard.additionalData).toString()}`}`;
    case 'attach':
      return `attach ${heard.handle} ${heard.name}${heard.source === undefined ? ' no-source' : ''}${heard.target === undefined ? ' no-target' : ''}`;
    case 'flow':
      return heard.handle === undefined ? 'flow' : `flow ${heard.handle} count=${heard.deliveryCount} credit=${heard.linkCredit}`;
    case 'disposition': {
      const last = heard.last === undefined || heard.last === heard.first ? '' : `-${heard.last}`;
      return `${heard.role} ${heard.first}${last}${heard.settled === true ? ' settled' : ''} ${stateInWords(heard.state)}`;
    }
    case 'detach':
      return `detach ${heard.handle}${heard.closed === true ? ' closed' : ''}${heard.error === undefined ? '' : ` ${heard.error.condition}`}`;
    case 'end':
    case 'close':
      return heard.error === undefined ? heard.type : `${heard.type} ${heard.error.condition}`;
    default:
      return heard.type;
  }
}

function stateInWords(state: DeliveryState | undefined): string {
  if (state === undefined) return 'no state';
  if (state.type === 'rejected') return `rejected ${state.error?.condition ?? ''}`;
  if (state.type === 'transactional-state') return `in transaction ${stateInWords(state.outcome)}`;
  return state.type;
}
