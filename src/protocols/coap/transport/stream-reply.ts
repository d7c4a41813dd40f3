// The way back for one request that came over TCP, TLS or WebSocket.

import type { CoapResponse, NotificationResult, Reply } from '../exchange.ts';
import type { TokenKey } from './token-key.ts';

export type StreamReplyState = 'waiting' | 'observing' | 'finished';

type Done = (result: NotificationResult) => void;

export interface StreamReplyHome {
  answer(reply: StreamReply, response: CoapResponse): void;
  notification(reply: StreamReply, response: CoapResponse, done: Done): void;
}

export class StreamReply implements Reply {
  onGone: (() => void) | undefined = undefined;
  state: StreamReplyState = 'waiting';
  readonly home: StreamReplyHome;
  readonly token: Uint8Array;
  readonly key: TokenKey;
  /** Classes of responses that are not wanted (RFC 7967). */
  readonly unwanted: number;

  constructor(home: StreamReplyHome, token: Uint8Array, key: TokenKey, unwanted: number) {
    this.home = home;
    this.token = token;
    this.key = key;
    this.unwanted = unwanted;
  }

  send(response: CoapResponse): void {
    if (this.state !== 'finished') this.home.answer(this, response);
  }

  sendConfirmed(response: CoapResponse, done: Done): void {
    if (this.state === 'finished') {
      done('lost');
      return;
    }
    this.home.answer(this, response);
    done('sent');
  }

  notify(response: CoapResponse, _confirmable: boolean, done: Done): void {
    if (this.state === 'finished') done('lost');
    else this.home.notification(this, response, done);
  }
}
