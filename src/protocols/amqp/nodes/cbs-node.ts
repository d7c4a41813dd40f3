// `$cbs` (claims-based security): a peer proves anew who it is, by a token, while it stays connected. It stays the same principal.

import type { Credentials, Principal } from '../../../security/security.ts';
import { countName } from '../counters.ts';
import type { LinkHost } from '../link.ts';
import type { NodeHandler } from './service-nodes.ts';
import { type NodeAnswer, type NodeRequest, textOf } from './service-message.ts';

const accepted: NodeAnswer = { status: 202, description: 'Accepted' };
const refusedToken: NodeAnswer = { status: 401, description: 'The token does not prove who you are here.' };
const somebodyElse: NodeAnswer = { status: 403, description: 'The token is that of somebody else: a connection keeps its principal.' };
const overloaded: NodeAnswer = { status: 503, description: 'Too many tokens are being checked; try later.' };
const notAdmitted: NodeAnswer = { status: 403, description: 'You may not connect here, or not now.' };
const sasToken: NodeAnswer = {
  status: 400,
  description: 'Shared access signatures are not taken here. Send a token of type jwt, of an issuer that this broker trusts.',
};

/** Names of the type, as they are in use. */
const jwtTypes: ReadonlySet<string> = new Set(['jwt', 'amqp:jwt']);
const sasTypes: ReadonlySet<string> = new Set(['servicebus.windows.net:sastoken', 'amqp:sas', 'sastoken']);

const text = new TextEncoder();

export class CbsNode implements NodeHandler {
  handle(request: NodeRequest, host: LinkHost, answer: (answer: NodeAnswer) => void): void {
    const counted = (outcome: string, says: NodeAnswer): void => {
      countName(host.server.counters.tokens, outcome);
      answer(says);
    };
    const { properties, body } = request;
    const operation = textOf(properties.get('operation'));
    if (operation !== 'put-token') return answer({ status: 501, description: 'The only operation here is put-token.' });
    const type = textOf(properties.get('type')) ?? '';
    if (sasTypes.has(type)) return counted('refused', sasToken);
    if (!jwtTypes.has(type)) return counted('refused', { status: 400, description: 'The type of the token must be jwt.' });
    const token = body.type === 'binary' ? body.value : text.encode(textOf(body) ?? '');
    if (token.length === 0) return counted('refused', { status: 400, description: 'The body must be the token, as a string.' });
    this.#check(token, host, counted);
  }

  #check(password: Uint8Array, host: LinkHost, counted: (outcome: string, says: NodeAnswer) => void): void {
    const { facts, containerId, server } = host;
    const { listener, remoteAddress, secure } = facts;
    // Only the token is to prove anything: neither certificate nor name.
    const credentials: Credentials = {
      listener,
      remoteAddress,
      secure,
      clientId: containerId,
      username: undefined,
      password,
      certificate: undefined,
    };
    server.security.authenticate(credentials, (result) => {
      if (!result.ok) return result.reason === 'overloaded' ? counted('overloaded', overloaded) : counted('refused', refusedToken);
      const { principal, expiresAtMs } = result;
      // Where nobody need prove anything, a token that proves nothing must not count for one that does.
      if (principal.access?.method !== 'jwt') return counted('refused', refusedToken);
      if (host.isPending) return begin(host, principal, expiresAtMs, counted);
      if (!isSame(principal, host.principal)) return counted('refused', somebodyElse);
      host.renew(principal, expiresAtMs);
      counted('accepted', accepted);
    });
  }
}

/** Now it is known who the peer is. */
function begin(
  host: LinkHost,
  principal: Principal,
  expiresAtMs: number | undefined,
  counted: (outcome: string, says: NodeAnswer) => void,
): void {
  host.prove(principal, expiresAtMs, (ok) => {
    host.atEnd(() => (ok ? counted('accepted', accepted) : counted('refused', notAdmitted)));
  });
}

function isSame(one: Principal, other: Principal): boolean {
  return one.tenant === other.tenant && one.id === other.id;
}
