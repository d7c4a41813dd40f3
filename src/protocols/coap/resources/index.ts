// The resources of Heliograph over CoAP: topics, queues, discovery, the resource directory with commands, and the pub/sub draft.

import type { Sample } from '../../../base/metrics.ts';
import type { RequestHandler } from '../exchange.ts';
import { House } from './house.ts';
import type { ResourceParts } from './parts.ts';

export type { ResourceOptions } from './options.ts';
export type { Mount, ResourceParts } from './parts.ts';

export interface Resources extends RequestHandler {
  metrics(): Iterable<Sample>;
  /** The node is going down: observations end, what waits is answered. */
  close(): void;
}

export function createResources(parts: ResourceParts): Resources {
  return new House(parts);
}
