// The section `coap` of the configuration: each layer brings its own fields.

import { section, type SettingsOf } from '../../config/fields.ts';
import type { SharedSettings } from '../protocol-kind.ts';
import { type BlockOptions, blockFields } from './block/block-settings.ts';
import { qBlockFields } from './block/q-block-settings.ts';
import { type ResourceOptions } from './resources/index.ts';
import { resourceFields } from './resources/settings.ts';
import type { TransportOptions } from './transport-options.ts';
import { transportFields } from './transport-settings.ts';

export const coapSettings = section(
  { ...transportFields, ...blockFields, ...qBlockFields, ...resourceFields },
  'CoAP over UDP, DTLS, TCP, TLS and WebSocket.',
);

export type CoapOptions = TransportOptions & BlockOptions & ResourceOptions;

export function coapOptions(coap: SettingsOf<typeof coapSettings>, shared: SharedSettings): CoapOptions {
  return {
    ...coap,
    ackRandomFactor: coap.ackRandomFactorPercent / 100,
    outputHighWaterBytes: shared.net.outputHighWaterBytes,
  };
}
