// Separation of duties: what is asked for stands in the registry until somebody else agrees, and is then carried out as it stands.

import type { Entry } from '../../registry/entries.ts';
import { systemScope } from '../../registry/entries.ts';
import { Problem, registryProblem } from './problem.ts';
import type { Answer, Call, Input, RouteSpec } from './route.ts';
import type { ApiServices } from './services.ts';

/** The request as it is stored. */
export type StoredRequest = {
  readonly operation: string;
  readonly tenant: string;
  readonly ifMatch?: number | undefined;
  readonly input: { readonly params?: unknown; readonly query?: unknown; readonly body?: unknown };
};

export class Approvals {
  readonly #services: ApiServices;

  constructor(services: ApiServices) {
    this.#services = services;
  }

  async request(spec: RouteSpec, input: Input<never, never, never>, call: Call): Promise<Answer | Problem> {
    if (holdsSecret(input.body)) {
      return new Problem(
        422,
        'secret',
        'this needs a second person, and a secret cannot wait for one: do it without, and set the secret later',
      );
    }
    const { clock, random, registry, settings, audit } = this.#services;
    const stored: StoredRequest = { operation: spec.operation, tenant: call.tenant, ifMatch: call.ifMatch, input };
    const id = Buffer.from(random.bytes(12)).toString('hex');
    const summary = spec.duty!.summary(input, call.tenant).slice(0, 256);
    const made = await registry.create('approval', systemScope, id, {
      requestedBy: call.caller.name,
      summary,
      request: JSON.stringify(stored),
      expiresAtMs: clock.wallMs() + settings().approvalExpiryMs,
    });
    if (!made.ok) return registryProblem(made.error);
    const details = { asks: spec.audit?.action ?? spec.operation };
    audit.record({
      actor: call.caller.actor,
      action: 'approval.request',
      target: `approval/${id}`,
      from: call.from,
      outcome: 'done',
      details,
    });
    return { status: 202, body: approvalView(made.value), location: `/approvals/${id}` };
  }
}

function holdsSecret(body: unknown): boolean {
  return typeof body === 'object' && body !== null && ['password', 'privateKey', 'passphrase', 'token'].some((name) => name in body);
}

export function approvalView(entry: Entry<'approval'>): object {
  const { id, version, createdMs, updatedMs, status, requestedBy, decidedBy, summary, request, expiresAtMs } = entry;
  return {
    id,
    version,
    createdMs,
    updatedMs,
    status,
    requestedBy,
    decidedBy,
    summary,
    request: JSON.parse(request) as unknown,
    expiresAtMs,
  };
}
