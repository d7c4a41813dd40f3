// Limits of transfers in blocks: part of the section of CoAP in the configuration.

import { bytes, count, milliseconds } from '../../../config/fields.ts';

import type { QBlockOptions } from './q-block-settings.ts';

const KiB = 1024;
const MiB = 1024 * KiB;

export const blockFields = {
  blockBytes: bytes(
    { default: 1024, min: 16, max: 1024, live: true },
    'Largest block asked for and sent, where the packet has room for it; peers may ask for smaller ones. 16 to 1024, a power of two.',
  ),
  maxBodyBytes: bytes(
    { default: 2 * MiB, min: KiB, max: 1024 * MiB, live: true },
    'Largest body that is put together from blocks: of a request, or of an answer by a device. A larger one is refused with 4.13 as soon as that is known.',
  ),
  maxTransfersPerPeer: count(
    { default: 16, min: 1, max: 10_000, live: true },
    'Most bodies of which one peer has not yet sent all, and most answers that are kept for it to fetch the rest. The oldest makes room for the next.',
  ),
  maxTransferPeerBytes: bytes(
    { default: 8 * MiB, min: 4 * KiB, max: 4096 * MiB, live: true },
    'Most memory for incomplete bodies of one peer, and as much for answers that it has not yet fetched.',
  ),
  maxTransferBytes: bytes(
    { default: 64 * MiB, min: 4 * KiB, max: 65_536 * MiB, live: true },
    'Most memory for incomplete bodies of all peers: a further one is refused with 5.03. As much again for answers; the oldest makes room there.',
  ),
  transferTimeoutMs: milliseconds(
    { default: 120_000, min: 1000, max: 3_600_000, live: true },
    'A transfer is given up when no block of it was sent or asked for so long.',
  ),
};

/** What blockFields come to. Read at each use, so that they may change while running. */
export type BlockOptions = { readonly [Name in keyof typeof blockFields]: number } & QBlockOptions;

/** Sizes that cannot be the other way round; for `ordered` of the protocol's kind. */
export function blockOrder(section: string): (readonly [lower: string, upper: string, why: string])[] {
  const why = 'one body must fit';
  return [
    [`${section}.maxBodyBytes`, `${section}.maxTransferPeerBytes`, why],
    [`${section}.maxTransferPeerBytes`, `${section}.maxTransferBytes`, why],
    [`${section}.nonTimeoutMs`, `${section}.nonReceiveTimeoutMs`, 'the next set must have begun before blocks are missed'],
  ];
}
