// What the MQTT client could not do, in words that say how to mend it.

import { UserError } from '../base/user-error.ts';
import { ClientError, endpointText, type Endpoint } from '../client/index.ts';
import { ReasonCode } from '../protocols/mqtt/codec/index.ts';

type Circumstances = { readonly endpoint: Endpoint; readonly username?: string };

/** Errors that are not the client's are returned as they are: they are bugs. */
export function inWords(error: unknown, { endpoint, username }: Circumstances): unknown {
  if (!(error instanceof ClientError)) return error;
  const { what, fix } = explain(error, endpoint, username);
  return new UserError(what, { where: endpointText(endpoint), ...(fix === undefined ? {} : { fix }), cause: error });
}

type Explanation = { readonly what: string; readonly fix?: string };

function explain(error: ClientError, endpoint: Endpoint, username: string | undefined): Explanation {
  switch (error.code) {
    case 'unreachable':
      return unreachable(error, endpoint);
    case 'certificate':
      return { what: sentence(error.message), fix: certificateFix(error) };
    case 'timeout':
      return { what: 'The broker does not answer.', fix: 'check the address, and whether a port for TLS is meant (mqtts://, wss://)' };
    case 'refused':
      return refused(error, username);
    case 'rejected':
      if (error.reason === ReasonCode.notAuthorized) {
        return {
          what: sentence(error.message),
          fix: 'use a user who may do this, or allow it with a rule in security.rules of the configuration',
        };
      }
      if (error.reason === ReasonCode.quotaExceeded) {
        return {
          what: sentence(error.message),
          fix: 'a queue that the message goes to is full: see "heliograph status" for who does not take its messages',
        };
      }
      return { what: sentence(error.message) };
    default:
      return { what: sentence(error.message) };
  }
}

function unreachable(error: ClientError, { host }: Endpoint): Explanation {
  if (error.systemCode === 'ECONNREFUSED') {
    return {
      what: 'No broker listens there.',
      fix: 'start it with "heliograph serve", or name another one with --url, or --host and --port',
    };
  }
  if (error.systemCode === 'ENOTFOUND' || error.systemCode === 'EAI_AGAIN')
    return { what: `The name ${host} is not known.`, fix: 'check --url or --host' };
  return { what: sentence(error.message), fix: 'check --url, or --host and --port, and the way there' };
}

function certificateFix(error: ClientError): string {
  if (error.message.includes("this client's certificate")) return 'give --cert and --key of a certificate that the broker trusts';
  if (error.systemCode === 'ERR_TLS_CERT_ALTNAME_INVALID')
    return 'connect by a name that the certificate holds, or add the name to tls.serverNames of the broker';
  return "give the broker's authority with --cafile (pki/ca.crt in its data directory), or its data directory with --data";
}

function refused(error: ClientError, username: string | undefined): Explanation {
  if (error.reason !== ReasonCode.badUserNameOrPassword && error.reason !== ReasonCode.notAuthorized)
    return { what: sentence(error.message) };
  if (username === undefined) {
    const fix = 'give -u NAME; the first start of a broker prints its administrator, and "heliograph user add NAME" makes others';
    return { what: 'The broker lets nobody in without credentials.', fix };
  }
  const fix = 'check the name and the password (HELIOGRAPH_PASSWORD or -P); "heliograph user password NAME" sets a new one';
  return { what: `The broker does not let ${username} in with this password.`, fix };
}

function sentence(text: string): string {
  return `${text.charAt(0).toUpperCase()}${text.slice(1)}${text.endsWith('.') ? '' : '.'}`;
}
