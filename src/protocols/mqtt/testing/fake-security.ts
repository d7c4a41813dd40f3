// Security that does as a test says. Everybody may do everything but what `denied` names.

import type { Action, AuthenticationResult, Credentials, Exchange, ExchangeStep, Principal, Security } from '../../../security/security.ts';

export function principalOf(id: string): Principal {
  return { tenant: 'main', id, kind: 'device', roles: [] };
}

export class FakeSecurity implements Security {
  version = 1;
  /** `action topic` of what is refused. */
  readonly denied = new Set<string>();
  questions: string[] = [];
  lastCredentials: Credentials | undefined;
  /** `later`: the test answers by calling `answers`. */
  result: AuthenticationResult | 'later' = { ok: true, principal: principalOf('p') };
  answers: ((result: AuthenticationResult) => void)[] = [];
  /** Per mechanism: what each step answers; a step beyond the script waits in `steps`. */
  readonly mechanisms = new Map<string, ExchangeStep[]>();
  steps: ((step: ExchangeStep) => void)[] = [];
  stepData: (string | undefined)[] = [];

  authenticate(credentials: Credentials, answer: (result: AuthenticationResult) => void): void {
    this.lastCredentials = credentials;
    if (this.result === 'later') this.answers.push(answer);
    else answer(this.result);
  }

  startExchange(mechanism: string): Exchange | undefined {
    const script = this.mechanisms.get(mechanism);
    if (script === undefined) return undefined;
    return {
      step: (data, answer) => {
        this.stepData.push(data && Buffer.from(data).toString());
        const next = script.shift();
        if (next === undefined) this.steps.push(answer);
        else answer(next);
      },
    };
  }

  allows(_principal: Principal, action: Action, topic: string): boolean {
    this.questions.push(`${action} ${topic}`);
    return !this.denied.has(`${action} ${topic}`);
  }
}
