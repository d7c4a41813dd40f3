// Whether somebody who has proved an identity may still come in: what is known of it beside its credentials. Asked at every
// connect, and answered by whoever keeps the registry.

import type { PeerCertificate, Principal } from './security.ts';

/** barred: disabled or revoked. unknown: it cannot be found out now, so nobody comes in. */
export type Standing = 'good' | 'barred' | 'unknown';

/** `certificate`: what the peer has shown, if it has. */
export type AskStanding = (principal: Principal, certificate: PeerCertificate | undefined) => Standing | Promise<Standing>;
