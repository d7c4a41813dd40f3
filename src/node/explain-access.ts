// Answers questions of access as `heliograph policy test` asks them: about a principal as it would be when it connects.

import type { AccessQuestion, ApiServices } from '../admin/api/services.ts';
import type { Clock } from '../base/clock.ts';
import { silentLog } from '../base/log.ts';
import { isSecure } from '../config/listener-kinds.ts';
import type { Config } from '../config.ts';
import type { LookUps, Registry } from '../registry/registry.ts';
import { PrincipalFacts, type Facts } from '../security/authentication/principal-facts.ts';
import { createAuthorization, type Authorization } from '../security/policy/authorization.ts';
import type { Access, Principal } from '../security/security.ts';
import { securityPolicy } from './options.ts';

type Explain = NonNullable<ReturnType<NonNullable<ApiServices['explain']>>>;

export type ExplainServices = {
  readonly authorization: Pick<Authorization, 'ready' | 'explain'>;
  readonly lookUps: LookUps;
  readonly clock: Clock;
  readonly config: () => Config;
};

export function explainAccess({ authorization, lookUps, clock, config }: ExplainServices): Explain {
  return async (question, action, topic, facts) => {
    const found = await factsOf(question, lookUps, clock, config());
    if (found.standing === 'unknown' || !(await authorization.ready(question.tenant))) return undefined;
    if (found.standing === 'barred') {
      const notes = [`the principal cannot connect at all: ${found.reason}`];
      return { isAllowed: false, reason: 'barred', findings: [], notes };
    }
    const access = accessOf(question, config());
    const principal: Principal = { ...found.principal, ...(access && { access }) };
    const { roles, groups = [], labels = {} } = principal;
    return { ...authorization.explain(principal, action, topic, facts), principal: { kind: principal.kind, roles, groups, labels } };
  };
}

/** For a command that finds no running node: made for one question, and thrown away. */
export function explainOffline(services: { readonly registry: Registry; readonly clock: Clock; readonly config: () => Config }): Explain {
  const { registry, clock, config } = services;
  return async (...question) => {
    const authorization = createAuthorization(securityPolicy(config(), false), { clock, log: silentLog, registry });
    try {
      return await explainAccess({ authorization, lookUps: registry, clock, config })(...question);
    } finally {
      authorization.close();
    }
  };
}

async function factsOf(
  { tenant, id, kind, supposed, access }: AccessQuestion,
  lookUps: LookUps,
  clock: Clock,
  config: Config,
): Promise<Facts> {
  const { roles = [], groups = [], labels = {} } = supposed ?? {};
  if (supposed !== undefined) return { standing: 'good', principal: { tenant, id, kind, roles, groups, labels }, expiresAtMs: undefined };
  // What certificates grant by themselves is meant for devices.
  const byCertificate = kind === 'device' && (access?.method ?? 'certificate') === 'certificate';
  const given = byCertificate ? config.security.certificates.roles : [];
  return new PrincipalFacts(lookUps, clock).of({ tenant, id, kind, roles: given }, undefined, false);
}

/** What was not told is taken from the configuration, or as it mostly is. */
function accessOf({ kind, access }: AccessQuestion, { listeners }: Config): Access | undefined {
  if (access === undefined) return undefined;
  const { listener = '', remoteAddress = '', method = kind === 'device' ? 'certificate' : 'password' } = access;
  const known = Object.hasOwn(listeners, listener) ? listeners[listener] : undefined;
  const secure = access.secure ?? (known === undefined || isSecure(known.kind));
  return { listener, remoteAddress, secure, method, certificate: undefined };
}
