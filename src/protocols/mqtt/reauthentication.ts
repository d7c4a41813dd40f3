// A client that authenticated by an exchange may prove again who it is while it stays connected (MQTT 5 §4.12.1).

import type { Credentials, Principal } from '../../security/security.ts';
import { AuthExchange, methodFault } from './auth-exchange.ts';
import type { ClientWriter } from './client-writer.ts';
import { type Auth, type AuthProperties, DecodeError, protocolError, ReasonCode } from './codec/index.ts';
import type { MqttServer } from './server.ts';

/** Where it leads. */
export type ReauthenticationEnd = {
  /** `expiresAtMs`: wall clock; undefined: the proof has no end. */
  renewed(principal: Principal, expiresAtMs: number | undefined): void;
  /** Ends the connection, if it is still open. */
  failed(fault: DecodeError): void;
};

/** What the exchange at connect leaves for later ones. */
export type ProvenBy = { readonly method: string; readonly credentials: Credentials };

export class Reauthentication {
  readonly #server: MqttServer;
  readonly #writer: ClientWriter;
  readonly #provenBy: ProvenBy;
  readonly #principal: Principal;
  readonly #end: ReauthenticationEnd;
  #exchange: AuthExchange | undefined = undefined;

  constructor(server: MqttServer, writer: ClientWriter, provenBy: ProvenBy, principal: Principal, end: ReauthenticationEnd) {
    this.#server = server;
    this.#writer = writer;
    this.#provenBy = provenBy;
    this.#principal = principal;
    this.#end = end;
  }

  /** The client's AUTH. Returns why the connection must end, if it must. */
  auth(auth: Auth): DecodeError | undefined {
    if (auth.reason === ReasonCode.reAuthenticate) return this.#begin(auth);
    const exchange = this.#exchange; // proceeding may end it at once
    return exchange === undefined ? protocolError('AUTH continues what was not begun') : exchange.proceed(auth);
  }

  /** The connection has ended. */
  abandon(): void {
    this.#exchange?.abandon();
  }

  #begin(auth: Auth): DecodeError | undefined {
    if (this.#exchange !== undefined) return protocolError('AUTH begins what is under way');
    const { method, credentials } = this.#provenBy;
    const fault = methodFault(auth, method);
    if (fault !== undefined) return fault;
    const exchange = this.#server.security.startExchange(method, credentials);
    if (exchange === undefined) return new DecodeError(ReasonCode.notAuthorized, 'the authentication method is offered no more');
    this.#exchange = new AuthExchange(method, exchange, this.#writer, {
      done: (principal, properties, expiresAtMs) => this.#done(principal, properties, expiresAtMs),
      failed: (fault) => this.#end.failed(fault),
    });
    this.#exchange.begin(auth.properties?.authenticationData);
    return undefined;
  }

  #done(principal: Principal, properties: AuthProperties, expiresAtMs: number | undefined): void {
    this.#exchange = undefined;
    // The session belongs to who opened it.
    if (principal.id !== this.#principal.id || principal.tenant !== this.#principal.tenant) {
      this.#end.failed(new DecodeError(ReasonCode.notAuthorized, 'authenticated as somebody else'));
      return;
    }
    this.#server.counters.reauthentications++;
    if (this.#writer.auth({ reason: ReasonCode.success, properties })) return this.#end.renewed(principal, expiresAtMs);
    this.#end.failed(new DecodeError(ReasonCode.packetTooLarge, 'AUTH is larger than the client allows'));
  }
}
