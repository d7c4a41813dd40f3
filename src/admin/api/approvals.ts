// Separation of duties: what is asked for stands in the registry until somebody else agrees, and is then carried out as it stands.

import type { Entry } from '../../registry/entries.ts';
import { systemScope } from '../../registry/entries.ts';
import { forbidden, Problem, registryProblem } from './problem.ts';
import type { Answer, Call, Input, RouteSpec } from './route.ts';
import type { ApiServices } from './services.ts';

/** The request as it is stored. */
export type StoredRequest = {
  readonly operation: string;
  readonly tenant: string;
  readonly ifMatch?: number | undefined;
  readonly input: { readonly params?: unknown; readonly query?: unknown; readonly body?: unknown };
};

/** Checks the input of a route again, as of a request that comes now. */
export type Recheck = (
  operation: string,
  input: StoredRequest['input'],
) => { spec: RouteSpec; input: Input<never, never, never> } | Problem;

export class Approvals {
  readonly #services: ApiServices;
  readonly #recheck: Recheck;

  constructor(services: ApiServices, recheck: Recheck) {
    this.#services = services;
    this.#recheck = recheck;
  }

  /**
   * The approver must have the right to do it alone. First it is decided, then it is done: of two who agree at the same moment only one
   * carries it out.
   */
  async carryOut(entry: Entry<'approval'>, call: Call): Promise<Answer | Problem> {
    const stored = JSON.parse(entry.request) as StoredRequest;
    const checked = this.#recheck(stored.operation, stored.input);
    if (checked instanceof Problem) return checked;
    const { spec, input } = checked;
    const { caller, from, services } = call;
    if (!caller.may(spec.permission)) return forbidden(`you may not: it wants the permission manage on ${spec.permission}`);
    const isSystemWide = caller.isSystemWide('write');
    if (!isSystemWide && (spec.scope === 'system' || stored.tenant !== caller.tenant))
      return forbidden('it is about another tenant than yours');
    const own: Call = { caller, from, services, tenant: stored.tenant, ifMatch: stored.ifMatch };
    const forbids = spec.forbids?.(input, own);
    if (forbids !== undefined) return forbids;
    const { registry, audit } = this.#services;
    const fields = { status: 'approved', decidedBy: caller.name } as const;
    const decided = await registry.update('approval', systemScope, entry.id, fields, entry.version);
    if (!decided.ok) return registryProblem(decided.error);
    const outcome = await spec.handle(input, own);
    const isProblem = outcome instanceof Problem;
    const details = {
      approval: entry.id,
      requestedBy: entry.requestedBy,
      ...(isProblem && { status: outcome.status, code: outcome.code }),
    };
    if (spec.audit !== undefined && spec.audit.byCallee !== true) {
      const target = spec.audit.target(input, stored.tenant);
      audit.record({ actor: caller.actor, action: spec.audit.action, target, from, outcome: isProblem ? 'failed' : 'done', details });
    }
    const answer = isProblem ? { status: outcome.status, body: outcome.document() } : { status: outcome.status, body: outcome.body };
    return { status: 200, body: { approval: approvalView(decided.value), answer } };
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
