// Which protocols' residues hold all fields of a message: attributes that came by them are read from the residue when somebody
// asks, and stored as nothing but the residue. Each such protocol says here how, when its module is loaded.

import type { Attributes } from './attributes.ts';

/** Makes attributes of a residue and of the fields that the broker adds to a message. Takes over the bytes. */
export type ResidueReader = (bytes: Uint8Array, added: Pick<Attributes, 'deliverAtMs' | 'death' | 'annotations'>) => Attributes;

const readers = new Map<string, ResidueReader>();

export function readResiduesBy(protocol: string, reader: ResidueReader): void {
  readers.set(protocol, reader);
}

/** Undefined: the protocol's residues do not hold all fields, or it is not part of this process. */
export function residueReader(protocol: string): ResidueReader | undefined {
  return readers.get(protocol);
}
