// Why a listener cannot be opened, in words.

import { UserError } from '../base/user-error.ts';
import { hostAndPort } from './address.ts';

/** What the operator is told. `error`: the system's. */
export function listenError(
  { name, host, port }: { readonly name: string; readonly host: string; readonly port: number },
  error: NodeJS.ErrnoException,
): UserError {
  const reasons: Record<string, readonly [what: string, fix: string]> = {
    EADDRINUSE: ['the port is in use', 'stop the program that uses it, or choose another port'],
    EACCES: ['the system does not permit it', 'choose a port above 1023, or give the process the right to bind low ports'],
    EADDRNOTAVAIL: ['this machine has no such address', 'use an address of this machine, or "::" for all'],
    EAFNOSUPPORT: ['this machine has no IPv6', 'use an IPv4 address; "0.0.0.0" is every interface'],
    ENOTFOUND: ['the name has no address', 'use an address of this machine, or "::" for all'],
  };
  const [what, fix] = reasons[error.code ?? ''] ?? [error.message, 'see the cause'];
  return new UserError(`Listener ${name} cannot listen on ${hostAndPort(host, port)}: ${what}.`, {
    where: `listeners.${name}`,
    fix,
    cause: error,
  });
}
