// GeneralName (RFC 5280 §4.2.1.6) and the subtrees of names that an authority is held to (§4.2.1.10).

import { context, contentOf, inside, primitiveContext, tags, DerError, type DerReader, type Element } from '../der/der-reader.ts';
import { nameOf, type DistinguishedName } from './distinguished-name.ts';

export type GeneralName =
  | { readonly kind: 'email' | 'dns' | 'uri'; readonly text: string }
  | { readonly kind: 'directory'; readonly name: DistinguishedName }
  | { readonly kind: 'ip'; readonly bytes: Uint8Array }
  /** otherName, x400Address, ediPartyName, registeredID: `form` is the number of its tag. */
  | { readonly kind: 'unknown'; readonly form: number };

export type NameConstraints = { readonly permitted: readonly GeneralName[]; readonly excluded: readonly GeneralName[] };

/** Each name is held against each subtree, so both are bounded. */
const maxNames = 128;

/** Whatever stands in the sequence. @throws DerError */
export function generalNames(list: DerReader): GeneralName[] {
  const found: GeneralName[] = [];
  while (!list.atEnd) {
    if (found.length >= maxNames) throw new DerError('too many names');
    found.push(generalName(list.take()));
  }
  return found;
}

/** @throws DerError also when a subtree has a base distance, which no authority may use (§4.2.1.10) */
export function nameConstraints(reader: DerReader): NameConstraints {
  const inner = reader.enter(tags.sequence);
  const permitted = subtrees(inner.enterIf(context(0)));
  const excluded = subtrees(inner.enterIf(context(1)));
  inner.end();
  if (permitted.length + excluded.length === 0) throw new DerError('empty name constraints');
  return { permitted, excluded };
}

function subtrees(list: DerReader | undefined): GeneralName[] {
  const found: GeneralName[] = [];
  while (list !== undefined && !list.atEnd) {
    if (found.length >= maxNames) throw new DerError('too many subtrees');
    const one = list.enter(tags.sequence);
    found.push(generalName(one.take()));
    one.end();
  }
  return found;
}

function generalName(element: Element): GeneralName {
  switch (element.tag) {
    case primitiveContext(1):
      return { kind: 'email', text: ia5(element) };
    case primitiveContext(2):
      return { kind: 'dns', text: ia5(element) };
    case context(4): {
      const inner = inside(element);
      const name = nameOf(inner.take(tags.sequence));
      inner.end();
      return { kind: 'directory', name };
    }
    case primitiveContext(6):
      return { kind: 'uri', text: ia5(element) };
    case primitiveContext(7):
      return { kind: 'ip', bytes: contentOf(element) };
    case context(0):
    case context(3):
    case context(5):
    case primitiveContext(8):
      return { kind: 'unknown', form: element.tag & 0x1f };
    default:
      throw new DerError('general name');
  }
}

/** A character that is not one of IA5 could look like another name to somebody else. */
function ia5(element: Element): string {
  const content = contentOf(element);
  if (content.some((byte) => byte === 0 || byte > 0x7f)) throw new DerError('text');
  return Buffer.from(content.buffer, content.byteOffset, content.length).toString('latin1');
}
