// The registry of Content-Formats (RFC 7252 §12.3 and what was added since): one number for a media type and a content coding.

export type ContentFormat = {
  readonly number: number;
  /** With its parameters, as registered: `text/plain; charset=utf-8`. */
  readonly mediaType: string;
  /** Content coding, as HTTP names it; absent: none. */
  readonly coding?: string;
};

export const FormatNumber = {
  text: 0,
  linkFormat: 40,
  xml: 41,
  octets: 42,
  exi: 47,
  json: 50,
  jsonPatch: 51,
  mergePatch: 52,
  cbor: 60,
  cborSequence: 63,
  senmlJson: 110,
  senmlCbor: 112,
  problemDetails: 257,
  missingBlocks: 272,
  pkcs7Certificates: 281,
  pkcs8: 284,
  csrAttributes: 285,
  pkcs10: 286,
  pkixCertificate: 287,
  oscore: 10_001,
} as const;

const formats: readonly ContentFormat[] = [
  [0, 'text/plain; charset=utf-8'],
  [16, 'application/cose; cose-type="cose-encrypt0"'],
  [17, 'application/cose; cose-type="cose-mac0"'],
  [18, 'application/cose; cose-type="cose-sign1"'],
  [19, 'application/ace+cbor'],
  [21, 'image/gif'],
  [22, 'image/jpeg'],
  [23, 'image/png'],
  [40, 'application/link-format'],
  [41, 'application/xml'],
  [42, 'application/octet-stream'],
  [47, 'application/exi'],
  [50, 'application/json'],
  [51, 'application/json-patch+json'],
  [52, 'application/merge-patch+json'],
  [60, 'application/cbor'],
  [61, 'application/cwt'],
  [62, 'application/multipart-core'],
  [63, 'application/cbor-seq'],
  [64, 'application/edhoc+cbor-seq'],
  [65, 'application/cid-edhoc+cbor-seq'],
  [96, 'application/cose; cose-type="cose-encrypt"'],
  [97, 'application/cose; cose-type="cose-mac"'],
  [98, 'application/cose; cose-type="cose-sign"'],
  [101, 'application/cose-key'],
  [102, 'application/cose-key-set'],
  [110, 'application/senml+json'],
  [111, 'application/sensml+json'],
  [112, 'application/senml+cbor'],
  [113, 'application/sensml+cbor'],
  [114, 'application/senml-exi'],
  [115, 'application/sensml-exi'],
  [140, 'application/yang-data+cbor; id=sid'],
  [256, 'application/coap-group+json'],
  [257, 'application/concise-problem-details+cbor'],
  [258, 'application/swid+cbor'],
  [259, 'application/pkixcmp'],
  [260, 'application/yang-sid+json'],
  [271, 'application/dots+cbor'],
  [272, 'application/missing-blocks+cbor-seq'],
  [280, 'application/pkcs7-mime; smime-type=server-generated-key'],
  [281, 'application/pkcs7-mime; smime-type=certs-only'],
  [284, 'application/pkcs8'],
  [285, 'application/csrattrs'],
  [286, 'application/pkcs10'],
  [287, 'application/pkix-cert'],
  [290, 'application/aif+cbor'],
  [291, 'application/aif+json'],
  [310, 'application/senml+xml'],
  [311, 'application/sensml+xml'],
  [320, 'application/senml-etch+json'],
  [322, 'application/senml-etch+cbor'],
  [340, 'application/yang-data+cbor'],
  [341, 'application/yang-data+cbor; id=name'],
  [432, 'application/td+json'],
  [433, 'application/tm+json'],
  [10_000, 'application/vnd.ocf+cbor'],
  [10_001, 'application/oscore'],
  [11_050, 'application/json', 'deflate'],
  [11_060, 'application/cbor', 'deflate'],
  [11_542, 'application/vnd.oma.lwm2m+tlv'],
  [11_543, 'application/vnd.oma.lwm2m+json'],
  [11_544, 'application/vnd.oma.lwm2m+cbor'],
  [20_000, 'text/css'],
  [30_000, 'image/svg+xml'],
].map((row) => {
  const [number, mediaType, coding] = row as [number, string, string?];
  return coding === undefined ? { number, mediaType } : { number, mediaType, coding };
});

const byNumber = new Map(formats.map((format) => [format.number, format]));
const byName = new Map(formats.map((format) => [nameOf(format.mediaType, format.coding), format.number]));
// Text is UTF-8 unless its sender says otherwise, and what is ASCII is both.
for (const alias of ['text/plain', 'text/plain;charset=us-ascii']) byName.set(nameOf(alias, undefined), FormatNumber.text);

/** What a number stands for; undefined: it is not registered, or not known here. */
export function contentFormat(number: number): ContentFormat | undefined {
  return byNumber.get(number);
}

/** The number of a media type with its parameters and a content coding; undefined: there is none. Case and spaces do not matter. */
export function contentFormatNumber(mediaType: string, coding?: string): number | undefined {
  return byName.get(nameOf(mediaType, coding));
}

/** Every format that is known, by number. */
export function contentFormats(): readonly ContentFormat[] {
  return formats;
}

function nameOf(mediaType: string, coding: string | undefined): string {
  const plain = mediaType.toLowerCase().replaceAll(/[\s"]/g, '');
  return coding === undefined || coding === '' || coding.toLowerCase() === 'identity' ? plain : `${plain} ${coding.toLowerCase()}`;
}
