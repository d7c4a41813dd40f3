// Security for tests: everyone may do everything until a test says otherwise. One challenge-response mechanism, `TEST`:
// the client begins with `hello`, is asked `question`, and must answer `answer`.

import type {
  Action,
  AuthenticationResult,
  Credentials,
  Exchange,
  ExchangeStep,
  Principal,
  Security,
} from '../../src/security/security.ts';

type Answer = (result: AuthenticationResult) => void;

export const testMechanism = 'TEST';

export class TestSecurity implements Security {
  version = 1;
  /** When set, CONNECT must carry it. */
  password: string | undefined;
  /** While true, checks of credentials are not answered; see `answerAll`. */
  slow = false;
  readonly #denied: { action: Action; topic: string }[] = [];
  readonly #waiting: (() => void)[] = [];

  /** From now on `action` is refused on `topic` and what is below it. */
  deny(action: Action, topic: string): void {
    this.#denied.push({ action, topic });
    this.version++;
  }

  answerAll(): void {
    for (const answer of this.#waiting.splice(0)) answer();
  }

  authenticate(credentials: Credentials, answer: Answer): void {
    const given = credentials.password === undefined ? undefined : Buffer.from(credentials.password).toString('utf8');
    const ok = this.password === undefined || given === this.password;
    const result: AuthenticationResult = ok ? { ok, principal: principalOf(credentials) } : { ok, reason: 'refused' };
    if (this.slow) this.#waiting.push(() => answer(result));
    else answer(result);
  }

  startExchange(mechanism: string, credentials: Credentials): Exchange | undefined {
    return mechanism === testMechanism ? new TestExchange(credentials) : undefined;
  }

  allows(_principal: Principal, action: Action, topic: string): boolean {
    return !this.#denied.some((rule) => rule.action === action && (topic === rule.topic || topic.startsWith(`${rule.topic}/`)));
  }
}

function principalOf(credentials: Credentials): Principal {
  return { tenant: 'main', id: credentials.username ?? 'anyone', kind: 'device', roles: [] };
}

class TestExchange implements Exchange {
  readonly #credentials: Credentials;

  constructor(credentials: Credentials) {
    this.#credentials = credentials;
  }

  step(data: Uint8Array | undefined, answer: (step: ExchangeStep) => void): void {
    const said = data === undefined ? '' : Buffer.from(data).toString('utf8');
    if (said === 'hello') answer({ kind: 'challenge', data: Buffer.from('question') });
    else if (said === 'answer') answer({ kind: 'done', principal: principalOf(this.#credentials), data: Buffer.from('welcome') });
    else answer({ kind: 'failed' });
  }
}
