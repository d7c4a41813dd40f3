// Certification requests for tests, made of bytes, so that no library refuses to make a wrong one.

import { context, primitiveContext, tags } from '../../der/der-reader.ts';
import { bits, element, extension, integer, oid, sequence } from '../../der/der-writer.ts';
import { signatureAlgorithms } from '../../revocation/signatures.ts';
import { TestSigner } from '../../testing/made-certificates.ts';

export type RequestChoices = {
  readonly signer?: TestSigner;
  readonly uris?: readonly string[];
  readonly dnsNames?: readonly string[];
  /** Object identifiers of attributes without a meaning here. */
  readonly attributes?: readonly string[];
};

/** DER. `commonNames`: none, one, or several. */
export function madeRequest(commonNames: string | readonly string[], choices: RequestChoices = {}): Buffer {
  const { signer = new TestSigner(), uris = [], dnsNames = [], attributes = [] } = choices;
  const all = typeof commonNames === 'string' ? [commonNames] : commonNames;
  const subject = all.map((each) => element(tags.set, sequence(oid('2.5.4.3'), element(0x0c, Buffer.from(each)))));
  const names = [
    ...uris.map((each) => element(primitiveContext(6), Buffer.from(each))),
    ...dnsNames.map((each) => element(primitiveContext(2), Buffer.from(each))),
  ];
  const asked = attributes.map((each) => sequence(oid(each), element(tags.set, integer(1))));
  if (names.length > 0) {
    const extensions = sequence(extension('2.5.29.17', sequence(...names)));
    asked.push(sequence(oid('1.2.840.113549.1.9.14'), element(tags.set, extensions)));
  }
  const info = sequence(integer(0), sequence(...subject), signer.publicKey, element(context(0), ...asked));
  return sequence(info, signatureAlgorithms[signer.algorithm], bits(signer.signNow(info)));
}

export function requestPem(der: Uint8Array): string {
  const body = Buffer.from(der)
    .toString('base64')
    .replaceAll(/.{1,64}/g, '$&\n');
  return `-----BEGIN CERTIFICATE REQUEST-----\n${body}-----END CERTIFICATE REQUEST-----\n`;
}
