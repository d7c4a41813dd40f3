// One run of enhanced authentication (MQTT 5 §4.12), at connect or later: who has the next word, and what it may be.

import type { Exchange, Principal } from '../../security/security.ts';
import type { ClientWriter } from './client-writer.ts';
import { type Auth, type AuthProperties, DecodeError, protocolError, ReasonCode } from './codec/index.ts';

/** Where the exchange leads; one of them is called, once. */
export type ExchangeEnd = {
  /** `properties`: the method and the server's last word, for the packet that says so. `expiresAtMs`: wall clock; when the proof ends. */
  done(principal: Principal, properties: AuthProperties, expiresAtMs: number | undefined): void;
  failed(fault: DecodeError): void;
};

export class AuthExchange {
  readonly method: string;
  readonly #exchange: Exchange;
  readonly #writer: ClientWriter;
  readonly #end: ExchangeEnd;
  #turn: 'server' | 'client' | 'nobody' = 'server';

  constructor(method: string, exchange: Exchange, writer: ClientWriter, end: ExchangeEnd) {
    this.method = method;
    this.#exchange = exchange;
    this.#writer = writer;
    this.#end = end;
  }

  /** Hands the client's first data over. */
  begin(data: Uint8Array | undefined): void {
    this.#step(data);
  }

  /** Hands the client's AUTH over, or returns why it may not come now. */
  proceed(auth: Auth): DecodeError | undefined {
    if (auth.reason !== ReasonCode.continueAuthentication) return protocolError('AUTH does not continue the exchange under way'); // [MQTT-4.12.0-3]
    if (this.#turn !== 'client') return protocolError('AUTH out of turn');
    const fault = methodFault(auth, this.method);
    if (fault === undefined) this.#step(auth.properties?.authenticationData);
    return fault;
  }

  /** The connection has ended: an answer that still comes is not wanted. */
  abandon(): void {
    this.#turn = 'nobody';
  }

  #step(data: Uint8Array | undefined): void {
    this.#turn = 'server';
    this.#exchange.step(data, (step) => {
      if (this.#turn !== 'server') return;
      switch (step.kind) {
        case 'challenge':
          this.#turn = 'client';
          this.#challenge(step.data);
          return;
        case 'failed':
          this.#turn = 'nobody';
          this.#end.failed(new DecodeError(ReasonCode.notAuthorized, 'authentication failed')); // [MQTT-4.12.0-4] [MQTT-4.12.1-2]
          return;
        case 'done':
          this.#turn = 'nobody';
          this.#end.done(step.principal, authProperties(this.method, step.data), step.expiresAtMs);
      }
    });
  }

  /** [MQTT-4.12.0-2] */
  #challenge(data: Uint8Array): void {
    if (this.#writer.auth({ reason: ReasonCode.continueAuthentication, properties: authProperties(this.method, data) })) return;
    this.#turn = 'nobody';
    this.#end.failed(new DecodeError(ReasonCode.packetTooLarge, 'the challenge is larger than the client allows'));
  }
}

/** [MQTT-4.12.0-5] [MQTT-4.12.1-1]. Not 0x8C: a DISCONNECT cannot say that. */
export function methodFault(auth: Auth, method: string): DecodeError | undefined {
  if (auth.properties?.authenticationMethod === method) return undefined;
  return protocolError('AUTH names another authentication method than CONNECT');
}

function authProperties(authenticationMethod: string, data: Uint8Array | undefined): AuthProperties {
  return data === undefined ? { authenticationMethod } : { authenticationMethod, authenticationData: data };
}
