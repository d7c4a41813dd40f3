// The server's side of one SASL exchange [AMQP 5.3]: which mechanisms are offered, and what the peer's messages come to. Who the
// peer is, is decided by Security; guessing is braked there.

import type { AuthenticationResult, Credentials, Exchange, ExchangeStep, Method, Principal } from '../../security/security.ts';
import type { WireFacts } from '../protocol.ts';
import { SaslCode } from './codec/sasl.ts';
import type { SaslMechanism } from './options.ts';
import { bearerRefused, readBearer, readPlain, textOf } from './sasl-messages.ts';
import type { AmqpServer } from './server.ts';

/** Where the exchange leads. `done` or `failed` is called once, now or later, and nothing after it. */
export type SaslEnd = {
  challenge(data: Uint8Array): void;
  /** `data`: for the outcome. `expiresAtMs`: wall clock; when the proof ends. */
  done(principal: Principal, expiresAtMs: number | undefined, data: Uint8Array | undefined): void;
  failed(code: SaslCode): void;
  /** It will prove by a token on `$cbs` who it is. */
  pending(): void;
};

/** By which way of Security each mechanism proves who the peer is. */
const methodsOf: Readonly<Record<SaslMechanism, readonly Method[]>> = {
  EXTERNAL: ['certificate', 'psk'],
  'SCRAM-SHA-256': ['scram-sha-256'],
  OAUTHBEARER: ['jwt'],
  PLAIN: ['password', 'jwt', 'webhook'],
  ANONYMOUS: ['anonymous'],
};

const nothing = new Uint8Array(0);

/** What a peer of this wire may choose of, the best first. */
export function offeredMechanisms(server: AmqpServer, facts: WireFacts): readonly SaslMechanism[] {
  const accepted = server.accepts(facts.listener);
  return server.options.saslMechanisms.filter((mechanism) => {
    if (mechanism === 'EXTERNAL') {
      const shown = { certificate: facts.peerCertificate !== undefined, psk: facts.pskIdentity !== undefined };
      return accepted.some((method) => (method === 'certificate' || method === 'psk') && shown[method]);
    }
    if (mechanism === 'ANONYMOUS' && provesLater(server, facts)) return true;
    return methodsOf[mechanism].some((method) => accepted.includes(method));
  });
}

/** Whoever says that it is nobody is to prove by a token on `$cbs` who it is. */
function provesLater({ options, accepts }: AmqpServer, { listener }: WireFacts): boolean {
  const accepted = accepts(listener);
  return options.cbs === true && accepted.includes('jwt') && !accepted.includes('anonymous');
}

type Turn = 'client' | 'server' | 'over';

export class SaslExchange {
  readonly #server: AmqpServer;
  readonly #facts: WireFacts;
  readonly #end: SaslEnd;
  readonly #offered: readonly SaslMechanism[];
  #mechanism: SaslMechanism | undefined = undefined;
  #hostname: string | undefined = undefined;
  #exchange: Exchange | undefined = undefined;
  /** The token was refused, and the peer has been told why. */
  #bearerFailed = false;
  #turn: Turn = 'client';

  constructor(server: AmqpServer, facts: WireFacts, offered: readonly SaslMechanism[], end: SaslEnd) {
    this.#server = server;
    this.#facts = facts;
    this.#offered = offered;
    this.#end = end;
  }

  /** The peer has the word. */
  get isClientsTurn(): boolean {
    return this.#turn === 'client';
  }

  /** The mechanism that the peer has chosen; undefined before. */
  get mechanism(): SaslMechanism | undefined {
    return this.#mechanism;
  }

  init(name: string, initialResponse: Uint8Array | undefined, hostname: string | undefined): void {
    const mechanism = this.#offered.find((one) => one === name);
    this.#turn = 'server';
    if (mechanism === undefined) return this.#fail(SaslCode.auth);
    this.#mechanism = mechanism;
    this.#hostname = hostname;
    if (mechanism === 'SCRAM-SHA-256') {
      this.#exchange = this.#server.security.startExchange(mechanism, credentialsOf(this.#facts, false, {}));
      if (this.#exchange === undefined) return this.#fail(SaslCode.auth);
    }
    // A client that must speak first and has not is asked by an empty challenge (RFC 4422 §3.3). Where nothing needs to be said,
    // nothing is asked for.
    const mayBeSilent = mechanism === 'EXTERNAL' || mechanism === 'ANONYMOUS';
    if (initialResponse === undefined && !mayBeSilent) return this.#challenge(nothing);
    this.#step(initialResponse ?? nothing);
  }

  response(data: Uint8Array): void {
    this.#turn = 'server';
    this.#step(data);
  }

  /** The connection has ended: an answer that still comes is not wanted. */
  abandon(): void {
    this.#turn = 'over';
  }

  #step(data: Uint8Array): void {
    switch (this.#mechanism!) {
      case 'ANONYMOUS':
        if (provesLater(this.#server, this.#facts)) {
          this.#turn = 'over';
          return this.#end.pending();
        }
        // What it says is a trace for people (RFC 4505), not a name.
        return this.#authenticate(credentialsOf(this.#facts, false, {}), '');
      case 'EXTERNAL': {
        const authzid = textOf(data);
        return authzid === undefined ? this.#fail(SaslCode.auth) : this.#authenticate(credentialsOf(this.#facts, true, {}), authzid);
      }
      case 'PLAIN':
        return this.#plain(data);
      case 'OAUTHBEARER':
        return this.#bearer(data);
      case 'SCRAM-SHA-256':
        return this.#exchange!.step(data, (step) => this.#stepped(step));
    }
  }

  #plain(data: Uint8Array): void {
    const message = readPlain(data);
    // Nobody acts for somebody else here.
    if (message === undefined || (message.authzid !== '' && message.authzid !== message.authcid)) return this.#fail(SaslCode.auth);
    const { authcid, password } = message;
    const tenant = this.#server.options.hostnameIsTenant && !authcid.includes('/') ? this.#hostname : undefined;
    const username = tenant === undefined || tenant === '' ? authcid : `${tenant}/${authcid}`;
    // What the peer says by PLAIN is what counts, even where it has a certificate.
    this.#authenticate(credentialsOf(this.#facts, false, { username, password }), '');
  }

  #bearer(data: Uint8Array): void {
    if (this.#bearerFailed) return this.#fail(SaslCode.auth);
    const message = readBearer(data);
    if (message === undefined) return this.#refuseBearer();
    const username = message.authzid === '' ? undefined : message.authzid;
    const exchange = this.#server.security.startExchange('JWT', credentialsOf(this.#facts, false, { username }));
    if (exchange === undefined) return this.#fail(SaslCode.auth);
    exchange.step(message.token, (step) => {
      if (step.kind === 'done') this.#finish(step.principal, step.expiresAtMs, step.data, message.authzid);
      else if (this.#turn === 'server') this.#refuseBearer();
    });
  }

  /** RFC 7628 §3.2.3 */
  #refuseBearer(): void {
    this.#bearerFailed = true;
    this.#challenge(bearerRefused);
  }

  #authenticate(credentials: Credentials, authzid: string): void {
    this.#server.security.authenticate(credentials, (result: AuthenticationResult) => {
      if (result.ok) this.#finish(result.principal, result.expiresAtMs, undefined, authzid);
      else this.#fail(result.reason === 'overloaded' ? SaslCode.sysTemp : SaslCode.auth);
    });
  }

  #stepped(step: ExchangeStep): void {
    switch (step.kind) {
      case 'challenge':
        return this.#challenge(step.data);
      case 'failed':
        return this.#fail(SaslCode.auth);
      case 'done':
        return this.#finish(step.principal, step.expiresAtMs, step.data, '');
    }
  }

  #challenge(data: Uint8Array): void {
    if (this.#turn !== 'server') return;
    this.#turn = 'client';
    this.#end.challenge(data);
  }

  #finish(principal: Principal, expiresAtMs: number | undefined, data: Uint8Array | undefined, authzid: string): void {
    if (this.#turn !== 'server') return;
    const { tenant, id } = principal;
    // Whoever shows a certificate that names nobody may be let in as nobody; that is not what EXTERNAL is asked for.
    if (this.#mechanism === 'EXTERNAL' && principal.kind === 'anonymous') return this.#fail(SaslCode.auth);
    if (authzid !== '' && authzid !== id && authzid !== `${tenant}/${id}`) return this.#fail(SaslCode.auth);
    this.#turn = 'over';
    this.#end.done(principal, expiresAtMs, data);
  }

  #fail(code: SaslCode): void {
    if (this.#turn !== 'server') return;
    this.#turn = 'over';
    this.#end.failed(code);
  }
}

/**
 * How a peer names itself is known only from its open: whether it may connect by that name is asked then. `byConnection`: what it
 * has proved to TLS counts; else only what it says now.
 */
export function credentialsOf(
  facts: WireFacts,
  byConnection: boolean,
  said: { readonly username?: string | undefined; readonly password?: Uint8Array },
): Credentials {
  return {
    listener: facts.listener,
    remoteAddress: facts.remoteAddress,
    secure: facts.secure,
    clientId: '',
    nameComesLater: true,
    username: said.username,
    password: said.password,
    certificate: byConnection ? facts.peerCertificate : undefined,
    ...(byConnection && facts.pskIdentity !== undefined && { pskIdentity: facts.pskIdentity }),
  };
}
