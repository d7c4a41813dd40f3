// The way back for one request that came by UDP or DTLS.
//
//   fresh ──time is up, or an answer that wants an acknowledgement of its own──► acknowledged
//   fresh, acknowledged ──notify──► observing
//   fresh, acknowledged, observing ──the last answer, the peer loses interest, or it is gone──► finished

import type { CoapResponse, NotificationResult, Reply } from '../exchange.ts';
import type { ReceivedMessage } from './received-messages.ts';
import { type TokenKey, tokenKey } from './token-key.ts';

export type ReplyState = 'fresh' | 'acknowledged' | 'observing' | 'finished';

type Done = (result: NotificationResult) => void;

/** The peer as its replies see it. */
export interface ReplyHome {
  answer(reply: UdpReply, response: CoapResponse, done: Done | undefined): void;
  notification(reply: UdpReply, response: CoapResponse, confirmable: boolean, done: Done): void;
}

/** So many notifications that are not confirmable are known by their ids: a Reset ends the observation. */
const rememberedNotifications = 4;

export class UdpReply implements Reply {
  onGone: (() => void) | undefined = undefined;
  state: ReplyState = 'fresh';
  readonly home: ReplyHome;
  readonly token: Uint8Array;
  readonly messageId: number;
  readonly code: number;
  readonly confirmable: boolean;
  readonly isMulticast: boolean;
  /** Classes of responses that are not wanted (RFC 7967). */
  readonly unwanted: number;
  /** What repetitions of the request are answered by, while the entry is still that of the request. */
  readonly received: ReceivedMessage;
  readonly receivedSerial: number;
  /** When an empty acknowledgement is due, in the list of those that wait. */
  dueMs = 0;
  before: UdpReply | undefined = undefined;
  after: UdpReply | undefined = undefined;
  /** Among those of its peer that are not finished. */
  isListed = false;
  #notified: number[] | undefined = undefined;
  #key: TokenKey | undefined = undefined;

  constructor(
    home: ReplyHome,
    request: { readonly token: Uint8Array; readonly messageId: number; readonly code: number },
    confirmable: boolean,
    isMulticast: boolean,
    unwanted: number,
    received: ReceivedMessage,
  ) {
    this.home = home;
    this.token = request.token;
    this.messageId = request.messageId;
    this.code = request.code;
    this.confirmable = confirmable;
    this.isMulticast = isMulticast;
    this.unwanted = unwanted;
    this.received = received;
    this.receivedSerial = received.serial;
  }

  /** By which it is found among others; made only for those that are not answered at once. */
  get key(): TokenKey {
    return (this.#key ??= tokenKey(this.token));
  }

  send(response: CoapResponse): void {
    if (this.state !== 'finished') this.home.answer(this, response, undefined);
  }

  sendConfirmed(response: CoapResponse, done: Done): void {
    if (this.state === 'finished') done('lost');
    else this.home.answer(this, response, done);
  }

  notify(response: CoapResponse, confirmable: boolean, done: Done): void {
    if (this.state === 'finished') done('lost');
    else this.home.notification(this, response, confirmable, done);
  }

  /** A notification went out that nobody acknowledges. */
  notified(messageId: number): void {
    this.#notified ??= [];
    this.#notified.push(messageId);
    if (this.#notified.length > rememberedNotifications) this.#notified.shift();
  }

  hasNotified(messageId: number): boolean {
    return this.#notified?.includes(messageId) === true;
  }
}
