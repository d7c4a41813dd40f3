// The second of three passes: does a request ask for nothing that its owner's certificate would not hold anyway? Nothing of it but
// the key goes into the certificate; it is refused all the same, so that nobody believes to have got what was asked for.

import type { Owner } from '../../registry/entries.ts';
import { principalUri } from '../peer-certificate.ts';
import type { KeyUsage } from './certificate-builder.ts';
import type { Extension } from './certificate-facts.ts';
import type { CertificateRequest, NamePart } from './certificate-request.ts';
import { booleanOf, contentOf, oidOf, primitiveContext, readDer, smallIntegerOf, tags } from './der/der-reader.ts';
import type { IssueFault } from './pki.ts';
import { extendedUsageOf, usagesOf, type ProfileSettings } from './profiles.ts';

const nameIds: Readonly<Record<string, 'CN' | 'O' | 'serialNumber'>> = {
  '2.5.4.3': 'CN',
  '2.5.4.10': 'O',
  '2.5.4.5': 'serialNumber',
};

type Asked = { readonly tenant: string; readonly owner: Owner; readonly settings: ProfileSettings; readonly request: CertificateRequest };

/** What it asks for and does not get; undefined: nothing. */
export function requestFault(asked: Asked): IssueFault | undefined {
  const { request, settings } = asked;
  if (request.keyType === 'rsa' && !settings.allowRsa) {
    return { code: 'weak-key', message: 'RSA keys are not accepted here: use P-256, P-384 or Ed25519.', field: 'publicKey' };
  }
  for (const part of request.subject) {
    const fault = nameFault(part, asked);
    if (fault !== undefined) return fault;
  }
  for (const extension of request.extensions) {
    const fault = extensionFault(extension, asked);
    if (fault !== undefined) return fault;
  }
  return undefined;
}

function nameFault({ type, text }: NamePart, { tenant, owner }: Asked): IssueFault | undefined {
  const name = nameIds[type];
  const field = `subject.${name ?? type}`;
  if (name === undefined) return { code: 'foreign-name', message: `The subject may hold CN, O and serialNumber only, not ${type}.`, field };
  const own = name === 'O' ? [tenant] : [owner.id, `${tenant}/${owner.id}`];
  if (own.includes(text)) return undefined;
  return { code: 'foreign-name', message: `The subject names somebody else: ${name} must be "${own[0]}", or absent.`, field };
}

type Judge = (value: Uint8Array, asked: Asked) => IssueFault | undefined;

const judges: Readonly<Record<string, { readonly field: string; readonly judge: Judge }>> = {
  '2.5.29.14': { field: 'extensions.subjectKeyIdentifier', judge: () => undefined },
  '2.5.29.15': { field: 'extensions.keyUsage', judge: keyUsageFault },
  '2.5.29.17': { field: 'extensions.subjectAltName', judge: alternativeNameFault },
  '2.5.29.19': { field: 'extensions.basicConstraints', judge: constraintsFault },
  '2.5.29.37': { field: 'extensions.extendedKeyUsage', judge: extendedUsageFault },
};

function extensionFault({ id, value }: Extension, asked: Asked): IssueFault | undefined {
  const known = judges[id];
  if (known === undefined) {
    return { code: 'not-allowed', message: `The profile gives no extension ${id}.`, field: `extensions.${id}` };
  }
  const fault = known.judge(value, asked);
  return fault && { ...fault, field: known.field };
}

const unreadable: IssueFault = { code: 'malformed', message: 'The extension cannot be read.' };

function constraintsFault(value: Uint8Array): IssueFault | undefined {
  const isAuthority = readDer(value, (reader) => {
    const inner = reader.enter(tags.sequence);
    const flag = inner.takeIf(tags.boolean);
    const length = inner.takeIf(tags.integer);
    inner.end();
    // A length is only for authorities (RFC 5280 §4.2.1.9).
    if (length !== undefined && smallIntegerOf(length) >= 0) return true;
    return flag !== undefined && booleanOf(flag);
  });
  if (isAuthority === undefined) return unreadable;
  return isAuthority ? { code: 'not-allowed', message: 'The profile makes no authorities.' } : undefined;
}

const usageBits: Readonly<Record<KeyUsage, number>> = {
  digitalSignature: 0x8000,
  nonRepudiation: 0x4000,
  keyEncipherment: 0x2000,
  keyCertSign: 0x0400,
  cRLSign: 0x0200,
};

function keyUsageFault(value: Uint8Array, { owner, request }: Asked): IssueFault | undefined {
  const asked = readDer(value, (reader) => {
    const content = contentOf(reader.take(tags.bitString));
    return content.length === 2 || content.length === 3 ? (content[1]! << 8) | (content[2] ?? 0) : undefined;
  });
  if (asked === undefined) return unreadable;
  const given = usagesOf(owner.kind, request.keyType);
  const allowed = given.reduce((sum, usage) => sum | usageBits[usage], 0);
  if ((asked & ~allowed) === 0) return undefined;
  return { code: 'not-allowed', message: `The profile gives the key usage ${given.join(', ')} only.` };
}

function extendedUsageFault(value: Uint8Array, { owner }: Asked): IssueFault | undefined {
  const asked = readDer(value, (reader) => {
    const list = reader.enter(tags.sequence);
    const found: string[] = [];
    while (!list.atEnd) found.push(oidOf(list.take(tags.oid)));
    return found;
  });
  if (asked === undefined) return unreadable;
  if (asked.every((usage) => usage === extendedUsageOf(owner.kind))) return undefined;
  return { code: 'not-allowed', message: 'The profile gives the extended key usage clientAuth only.' };
}

/** The owner's URI, and its id as a DNS name, which many clients write there by themselves. */
function alternativeNameFault(value: Uint8Array, { tenant, owner }: Asked): IssueFault | undefined {
  const own = new Map([
    [primitiveContext(6), principalUri(tenant, owner.id)],
    [primitiveContext(2), owner.id],
  ]);
  const isOwn = readDer(value, (reader) => {
    const names = reader.enter(tags.sequence);
    let all = true;
    while (!names.atEnd) {
      const name = names.take();
      all &&= own.get(name.tag) === Buffer.from(contentOf(name)).toString('latin1');
    }
    return all;
  });
  if (isOwn === undefined) return unreadable;
  if (isOwn) return undefined;
  return {
    code: 'foreign-name',
    message: `The request names somebody else: the alternative name must be ${principalUri(tenant, owner.id)}, or absent.`,
  };
}
