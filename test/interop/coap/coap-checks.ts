// CoAP by clients that nobody here wrote, against a broker of our own.

import { acrossChecks } from './across.ts';
import { aiocoapChecks } from './aiocoap.ts';
import { coapJsChecks } from './coapjs.ts';
import { californiumChecks } from './californium.ts';
import { startCoapTarget } from './coap-target.ts';
import { estCoapChecks } from './est-coap.ts';
import { libcoapChecks } from './libcoap.ts';
import { oscoreLibcoapChecks } from './oscore-libcoap.ts';

import type { Checks } from '../checks.ts';

export async function coapChecks(checks: Checks, portOffset: number): Promise<void> {
  const target = await startCoapTarget(portOffset);
  try {
    await libcoapChecks(checks, target);
    await oscoreLibcoapChecks(checks, target);
    await estCoapChecks(checks, target);
    await coapJsChecks(checks, target);
    await acrossChecks(checks, target);
    await aiocoapChecks(checks, target);
    await californiumChecks(checks, target);
  } finally {
    await target.stop();
  }
}
