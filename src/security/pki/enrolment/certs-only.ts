// Certificates in a CMS message that signs nothing (RFC 5652 §5, RFC 8551 §3.8), the form in which EST hands them out.

import { X509Certificate } from 'node:crypto';
import { element, integer, oid, sequence } from '../der/der-writer.ts';
import { context, tags } from '../der/der-reader.ts';

const signedData = '1.2.840.113549.1.7.2';
const data = '1.2.840.113549.1.7.1';

/** DER. `pem`: any number of certificates, in this order. */
export function certsOnly(pem: string): Buffer {
  const certificates = pem.match(/-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g) ?? [];
  const content = sequence(
    integer(1),
    element(tags.set),
    sequence(oid(data)),
    element(context(0), ...certificates.map((each) => new X509Certificate(each).raw)),
    element(tags.set),
  );
  return sequence(oid(signedData), element(context(0), content));
}
