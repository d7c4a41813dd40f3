import { bytes, section } from '../fields.ts';

const KiB = 1024;
const MiB = 1024 * KiB;

export const netSection = section(
  {
    outputHighWaterBytes: bytes(
      { default: 256 * KiB, min: 4 * KiB, max: 256 * MiB },
      'Above so many unsent bytes a connection is congested: deliveries wait in their queue.',
    ),
    outputLowWaterBytes: bytes({ default: 64 * KiB, min: 0, max: 256 * MiB }, 'Below so many unsent bytes it is congested no more.'),
  },
  'Connections of every protocol.',
);
