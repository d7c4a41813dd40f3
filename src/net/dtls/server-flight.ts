// The bodies of the messages by which the server answers a ClientHello (RFC 5246 §7.4).

import { fail } from './alert.ts';
import { u16, u8, vector } from './bytes.ts';
import { certificateTypes, extensionTypes, type ClientHello, type ServerHello } from './hello.ts';
import { messageTypes } from './handshake-message.ts';
import type { Agreed } from './negotiation.ts';
import type { EphemeralKey } from './ephemeral-key.ts';
import { signatureSchemes } from './signature-schemes.ts';
import type { ResolvedSettings } from './settings.ts';

/** ECCurveType (RFC 8422 §5.4). */
const namedCurve = 3;
/** ClientCertificateType (RFC 5246 §7.4.4, RFC 8422 §5.5). */
const clientCertificateTypes = Uint8Array.of(64, 1);
/** Names of authorities beyond this many bytes are left out: the list is a hint, and the flight must stay small. */
const authorityBytes = 1024;
/** MaxFragmentLength (RFC 6066 §4) by bytes. */
const maxFragmentCode = (bytes: number): number => Math.log2(bytes) - 8;

type Body = { readonly type: number; readonly body: Uint8Array };

/** `agreed` undefined: a session is resumed. `cid`: ours, when both know Connection IDs. */
export function serverExtensions(hello: ClientHello, agreed: Agreed | undefined, cid: Uint8Array | undefined): ServerHello['extensions'] {
  const list: { type: number; body: Uint8Array }[] = [];
  const add = (condition: boolean, type: number, body: () => Uint8Array): void => {
    if (condition) list.push({ type, body: body() });
  };
  add(hello.hasRenegotiationInfo, extensionTypes.renegotiationInfo, () => u8(0));
  add(hello.hasExtendedMasterSecret, extensionTypes.extendedMasterSecret, () => new Uint8Array());
  add(hello.maxFragment !== undefined, extensionTypes.maxFragmentLength, () => u8(maxFragmentCode(hello.maxFragment!)));
  add(hello.hasPointFormats && agreed?.group !== undefined, extensionTypes.pointFormats, () => vector(1, u8(0)));
  const typeOf = (form: 'x509' | 'rawKey'): Uint8Array => u8(form === 'x509' ? certificateTypes.x509 : certificateTypes.rawPublicKey);
  const proof = agreed?.proof;
  add(hello.serverCertificateTypes !== undefined && proof !== undefined, extensionTypes.serverCertificateType, () => typeOf(proof!.form));
  const clientForm = agreed?.clientForm;
  add(hello.clientCertificateTypes !== undefined && clientForm !== undefined, extensionTypes.clientCertificateType, () =>
    typeOf(clientForm!),
  );
  add(cid !== undefined, extensionTypes.connectionId, () => vector(1, cid!));
  return list;
}

/** What follows the ServerHello of a full handshake. */
export function serverMessages(
  agreed: Agreed,
  ephemeral: EphemeralKey | undefined,
  randoms: readonly Uint8Array[],
  settings: ResolvedSettings,
): Body[] {
  const messages: Body[] = [];
  const { proof, group } = agreed;
  if (proof !== undefined) messages.push({ type: messageTypes.certificate, body: certificate(proof) });
  const exchange: Uint8Array[] = [];
  // RFC 4279 §2: the hint of plain PSK goes in a ServerKeyExchange, which is left out when there is none.
  const hint = agreed.proof === undefined ? (settings.psk?.hint ?? new Uint8Array()) : undefined;
  if (hint !== undefined && (hint.length > 0 || group !== undefined)) exchange.push(vector(2, hint));
  if (group !== undefined) {
    const parameters = Buffer.concat([u8(namedCurve), u16(group.code), vector(1, ephemeral!.publicBytes)]);
    exchange.push(parameters);
    if (proof !== undefined) {
      exchange.push(u16(proof.scheme.code), vector(2, signed(proof, Buffer.concat([...randoms, parameters]))));
    }
  }
  if (exchange.length > 0) messages.push({ type: messageTypes.serverKeyExchange, body: Buffer.concat(exchange) });
  if (agreed.clientForm !== undefined) {
    messages.push({ type: messageTypes.certificateRequest, body: certificateRequest(agreed.clientForm, settings) });
  }
  messages.push({ type: messageTypes.serverHelloDone, body: new Uint8Array() });
  return messages;
}

function signed({ credential, scheme }: NonNullable<Agreed['proof']>, data: Uint8Array): Uint8Array {
  try {
    return credential.signer.sign(data, scheme.hash);
  } catch {
    // The token that holds the key may be gone. The client cannot help it.
    return fail('internal-error', 'protocol');
  }
}

function certificate({ credential, form }: NonNullable<Agreed['proof']>): Uint8Array {
  // RFC 7250 §3: one SubjectPublicKeyInfo in place of the list.
  if (form === 'rawKey') return vector(3, credential.signer.spki);
  return vector(3, ...credential.chain.map((der) => vector(3, der)));
}

function certificateRequest(form: NonNullable<Agreed['clientForm']>, { clientAuthorities }: ResolvedSettings): Uint8Array {
  const schemes = signatureSchemes.map(({ code }) => u16(code));
  const names: Uint8Array[] = [];
  let left = form === 'x509' ? authorityBytes : 0;
  for (const name of clientAuthorities) {
    if ((left -= name.length + 2) < 0) break;
    names.push(vector(2, name));
  }
  return Buffer.concat([vector(1, clientCertificateTypes), vector(2, ...schemes), vector(2, ...names)]);
}
