import type { Endpoint, Target } from '../target.ts';

/** A target that speaks STOMP. */
export type StompTarget = Target & { readonly stomp: Endpoint; readonly stomps: Endpoint };
