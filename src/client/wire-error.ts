// What went wrong below MQTT, from the system's error to the client's.

import { ClientError } from './client-error.ts';
import { endpointText, type Endpoint } from './endpoint.ts';

const certificateCodes = /CERT|SELF_SIGNED|UNABLE_TO|SIGNATURE|CRL|HOSTNAME_MISMATCH/;

export function wireError(endpoint: Endpoint, error: NodeJS.ErrnoException, wasOpen: boolean): ClientError {
  const where = endpointText(endpoint);
  const code = error.code ?? '';
  if (code.startsWith('ERR_SSL') || code === 'EPROTO') {
    // The server's alert: it wants a certificate that it trusts.
    if (/certificate|unknown ca/i.test(error.message)) {
      return new ClientError('certificate', `${where} does not accept this client's certificate`, { cause: error });
    }
    return new ClientError('unreachable', `${where} does not speak TLS as it should`, { cause: error });
  }
  if (certificateCodes.test(code)) {
    return new ClientError('certificate', `the certificate of ${where} is not trusted: ${error.message}`, { cause: error });
  }
  if (wasOpen) return new ClientError('disconnected', `the connection to ${where} broke: ${textOf(error)}`, { cause: error });
  return new ClientError('unreachable', `${where} cannot be reached: ${textOf(error)}`, { cause: error });
}

/** An AggregateError, which Node throws when a name has several addresses, has no words of its own. */
function textOf(error: NodeJS.ErrnoException): string {
  const inner = error instanceof AggregateError ? (error.errors[0] as Error | undefined) : undefined;
  return (inner ?? error).message || (error.code ?? 'unknown error');
}
