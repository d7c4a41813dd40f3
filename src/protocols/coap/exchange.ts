// The layers of CoAP meet here. Requests go up, answers come down through the same layers:
//
//   transport (udp: messages, tcp: signalling)  →  oscore  →  block-wise  →  resources
//
// A layer is a RequestHandler that hands a changed request and a Reply of its own to the next one. What a layer hands on is
// whole: the layers above it know nothing of message ids, blocks or ciphertext.

import type { OscoreContextName } from '../../security/security.ts';
import type { WireFacts } from '../protocol.ts';
import type { CoapMessage, CoapOption } from './codec/message.ts';

/** Who sent a request. One UDP address, DTLS session, or connection; lives as long as that. */
export interface CoapPeer {
  readonly facts: WireFacts;
  /** TCP, TLS or WebSocket: nothing is lost, repeated or reordered, and large messages need no blocks. */
  readonly isReliable: boolean;
  /** The peer has shown that it receives at its address: else answers must stay small (RFC 9175 §2.4). */
  readonly isProven: boolean;
  /** The largest message that goes in one packet, or that a reliable peer has said it takes (RFC 8323 §5.3.1). */
  readonly maxMessageBytes: number;
  /**
   * Sends a request to a peer that is a server, too. `answer` is called once for a plain request; for an observation with each
   * notification until the returned function is called, the peer ends it, or it is gone. A token is chosen by the transport.
   */
  request(request: OutgoingRequest, answer: (result: CoapResponse | RequestFailure) => void): () => void;
  /** Called once when the peer is gone; at once if it is already. */
  whenGone(task: () => void): void;
  /** Forgets the peer, with a goodbye where there is one: who it was is nobody any more. `whenGone` follows. */
  close(): void;
}

export type OutgoingRequest = {
  readonly code: number;
  readonly options: readonly CoapOption[];
  readonly payload: Uint8Array;
  /** Over UDP: send it confirmable. */
  readonly confirmable: boolean;
};

export type RequestFailure = {
  readonly failure:
    | /** Not acknowledged or not answered in time. */ 'timeout'
    | /** The peer does not know it. */ 'reset'
    | 'gone'
    | /** Too many wait. */ 'full'
    | /** Its answer came in blocks that do not make up one body, or too large a one. */ 'incomplete';
};

/** `message` is valid for as long as it is wanted: its bytes are its own. */
export type CoapRequest = {
  readonly message: CoapMessage;
  readonly peer: CoapPeer;
  /** Over UDP: the peer wants to know that it arrived. Reliable transports: true. */
  readonly confirmable: boolean;
  /** It came to a group address (RFC 7252 §8): what would be an error is not answered. */
  readonly isMulticast: boolean;
  /** Only a part of the answer is wanted, and what it is a part of is not kept: not for what is given only once. */
  readonly isRest?: boolean;
  /** Set by the layer of OSCORE: whom the security context belongs to, which may not be whom the peer is. */
  readonly oscore?: OscoreIdentity;
};

/** Names a security context that the registry knows: what Credentials.oscoreContext takes. */
export type OscoreIdentity = OscoreContextName;

/** Without token, message id and type: those are the transport's. */
export type CoapResponse = { readonly code: number; readonly options: readonly CoapOption[]; readonly payload: Uint8Array };

/** What became of a notification: over UDP, a confirmable one is acknowledged, rejected, or lost after its last retransmission. */
export type NotificationResult = 'sent' | 'acknowledged' | 'rejected' | 'lost';

/** The way back for one request. */
export interface Reply {
  /** The one answer, or the last one of an observation; Code.empty: none, the message is acknowledged at most. Later calls do nothing. */
  send(response: CoapResponse): void;
  /**
   * Like `send`, but `done` tells whether the peer has it: over UDP the answer to a confirmable request is then a confirmable message
   * of its own, for nobody acknowledges one that rides on an acknowledgement. 'sent': it cannot be known (non-confirmable requests,
   * reliable transports). `done` is called once.
   */
  sendConfirmed(response: CoapResponse, done: (result: NotificationResult) => void): void;
  /**
   * One notification of an observation (RFC 7641), the first one included: the transport adds nothing, the Observe option is the caller's.
   * `done` is called once. The caller waits for it before it sends the next confirmable one (NSTART), and over reliable transports
   * before any, for it is late when the peer does not read. The first, to a confirmable request, is 'sent' with its acknowledgement.
   */
  notify(response: CoapResponse, confirmable: boolean, done: (result: NotificationResult) => void): void;
  /** Set by whoever answers: nobody waits for this answer any more (reset, gone, the same token used again). Called once at most. */
  onGone: (() => void) | undefined;
}

export interface RequestHandler {
  handle(request: CoapRequest, reply: Reply): void;
}
