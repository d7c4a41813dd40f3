// Which authorities a client trusts, as Node wants them.

import { rootCertificates } from 'node:tls';
import type { TlsSettings } from './wire.ts';

/** Empty: the well-known ones. */
export function authorities({ ca, extraCa }: TlsSettings): { readonly ca?: (string | Buffer)[] } {
  if (ca !== undefined) return { ca: [pem(ca)] };
  return extraCa === undefined ? {} : { ca: [...rootCertificates, pem(extraCa)] };
}

export function pem(bytes: string | Uint8Array): string | Buffer {
  return typeof bytes === 'string' ? bytes : Buffer.from(bytes);
}
