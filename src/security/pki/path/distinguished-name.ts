// Distinguished names as they are compared: RFC 5280 §7.1 lets the same name stand in several encodings.

import { contentOf, inside, oidOf, readDer, tags, wholeOf, DerError, type DerReader, type Element } from '../der/der-reader.ts';

/** One text for each relative name, the outermost first. Two names are the same when all of them are. */
export type DistinguishedName = readonly string[];

/** Enough for any name that is meant as one. */
const maxRelativeNames = 32;
const maxAttributes = 8;

const stringTags = {
  utf8: 0x0c,
  numeric: 0x12,
  printable: 0x13,
  teletex: 0x14,
  ia5: 0x16,
  visible: 0x1a,
  universal: 0x1c,
  bmp: 0x1e,
} as const;
const oneByteTags: ReadonlySet<number> = new Set([
  stringTags.utf8,
  stringTags.numeric,
  stringTags.printable,
  stringTags.teletex,
  stringTags.ia5,
  stringTags.visible,
]);

const emailAttribute = '1.2.840.113549.1.9.1';
const commonNameAttribute = '2.5.4.3';

/** @throws DerError */
export function nameOf(name: Element): DistinguishedName {
  const reader = inside(name);
  const found: string[] = [];
  while (!reader.atEnd) {
    if (found.length >= maxRelativeNames) throw new DerError('name');
    const attributes = attributesOf(reader.enter(tags.set)).map(({ type, value }) => `${type}=${comparable(value)}`);
    // The order within a set says nothing.
    found.push(attributes.toSorted().join('+'));
  }
  return found;
}

/** Texts of the mail addresses that stand in a name (RFC 5280 §4.2.1.10: constraints on mail addresses hold for them, too). */
export function emailsIn(name: Uint8Array): readonly string[] {
  return textsIn(name, emailAttribute);
}

export function commonNamesIn(name: Uint8Array): readonly string[] {
  return textsIn(name, commonNameAttribute);
}

export function sameName(one: DistinguishedName, other: DistinguishedName): boolean {
  return one.length === other.length && isWithin(one, other);
}

/** Does `name` begin with all of `subtree`? */
export function isWithin(name: DistinguishedName, subtree: DistinguishedName): boolean {
  return subtree.length <= name.length && subtree.every((part, i) => part === name[i]);
}

type Attribute = { readonly type: string; readonly value: Element };

function attributesOf(set: DerReader): Attribute[] {
  const found: Attribute[] = [];
  while (!set.atEnd) {
    if (found.length >= maxAttributes) throw new DerError('relative name');
    const one = set.enter(tags.sequence);
    const type = oidOf(one.take(tags.oid));
    found.push({ type, value: one.take() });
    one.end();
  }
  if (found.length === 0) throw new DerError('relative name');
  return found;
}

/** Text is compared without regard to its encoding, its case, and how much space there is (of ASCII, as OpenSSL does). */
function comparable(value: Element): string {
  const text = textOf(value);
  if (text === undefined) return `#${Buffer.from(wholeOf(value)).toString('hex')}`;
  const folded = text.replaceAll(/[A-Z]/g, (letter) => letter.toLowerCase()).replaceAll(/[\t\n\v\f\r ]+/g, ' ');
  // Signs that mean something between attributes are written so that nothing can be taken for two.
  return JSON.stringify(folded.trim());
}

function textOf(value: Element): string | undefined {
  const bytes = Buffer.from(contentOf(value));
  if (oneByteTags.has(value.tag)) return bytes.toString(value.tag === stringTags.utf8 ? 'utf8' : 'latin1');
  if (value.tag === stringTags.bmp && bytes.length % 2 === 0) return bytes.swap16().toString('utf16le');
  return undefined;
}

function textsIn(name: Uint8Array, type: string): readonly string[] {
  const found = readDer(name, (reader) => {
    const sets = reader.enter(tags.sequence);
    const texts: string[] = [];
    while (!sets.atEnd) {
      for (const attribute of attributesOf(sets.enter(tags.set))) {
        if (attribute.type === type) texts.push(textOf(attribute.value) ?? '');
      }
    }
    return texts;
  });
  return found ?? [];
}
