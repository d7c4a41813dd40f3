// Limits of robust transfers in blocks (RFC 9177 §7.2): part of the section of CoAP in the configuration.

import { count, flag, milliseconds } from '../../../config/fields.ts';

export const qBlockFields = {
  qBlock: flag(
    { default: true, live: true },
    'Over UDP and DTLS: whether bodies are taken and given by Q-Block1 and Q-Block2, many blocks at a time. False: 4.02, and peers fall back to Block1 and Block2.',
  ),
  maxPayloads: count(
    { default: 10, min: 1, max: 1000, live: true },
    'Most blocks of one body by Q-Block that go out at once (MAX_PAYLOADS). Peers must have the same number, or transfers take longer.',
  ),
  nonTimeoutMs: milliseconds(
    { default: 2000, min: 100, max: 120_000, live: true },
    'Between two such sets when the peer does not ask for the next (NON_TIMEOUT); stretched by a random factor up to 1.5.',
  ),
  nonReceiveTimeoutMs: milliseconds(
    { default: 4000, min: 100, max: 600_000, live: true },
    'Missing blocks are asked for after so long a silence (NON_RECEIVE_TIMEOUT), and each time after twice as long. Never less than 1.5 × nonTimeoutMs and a second.',
  ),
  nonMaxRetransmit: count(
    { default: 4, min: 0, max: 20, live: true },
    'How often missing blocks are asked for in vain, before the body is given up (NON_MAX_RETRANSMIT).',
  ),
  nonPartialTimeoutMs: milliseconds(
    { default: 247_000, min: 1000, max: 3_600_000, live: true },
    'A body by Q-Block1 of which no block comes is kept so long (NON_PARTIAL_TIMEOUT), and as long is remembered that it was complete.',
  ),
};

/** What qBlockFields come to. Read at each use, so that they may change while running. */
export type QBlockOptions = { readonly [Name in Exclude<keyof typeof qBlockFields, 'qBlock'>]: number } & { readonly qBlock: boolean };
