// Asks a service of the operator's who a peer is: for systems that have accounts already. What cannot be asked does not come in.
//
// The question is JSON: {clientId, username, password | passwordBase64, listener, remoteAddress, secure, certificate}, and the answer
// {allow, id, tenant, roles, groups, labels, expiresInSec, cacheSec}. Answers are remembered by a keyed hash of the question, never
// with a password.

import { createHmac } from 'node:crypto';
import type { Clock } from '../../base/clock.ts';
import type { Log } from '../../base/log.ts';
import type { MetricSource, Sample } from '../../base/metrics.ts';
import type { Random } from '../../base/random.ts';
import { nameFault } from '../../message/names.ts';
import type { Credentials } from '../security.ts';
import type { Authenticator, Identity, Verdict } from './authenticator.ts';
import { CircuitBreaker } from './circuit-breaker.ts';
import { maxSecretBytes } from './secret-bytes.ts';
import { claimedLabels, claimedNames, claimedRoles } from './claimed-facts.ts';
import { askJson } from './outbound-json.ts';

export type WebhookSettings = {
  /** See outboundUrlFault. */
  readonly url: string;
  /** Sent as `authorization`: tells the service that it is us. */
  readonly authorization?: string | undefined;
  readonly timeoutMs: number;
  readonly maxAnswerBytes: number;
  /** Questions under way; more are told that the server is busy. */
  readonly concurrency: number;
  /** Failures in a row after which it is not asked for `pauseMs`. */
  readonly failures: number;
  readonly pauseMs: number;
  /** Longest that an answer is believed, whatever it says; 0: no answer is remembered. */
  readonly maxCacheMs: number;
  readonly cacheEntries: number;
  /** Where the answer names none. */
  readonly tenant: string;
  /** Tenants that an answer may name; empty: `tenant` alone. */
  readonly tenants: readonly string[];
  /** Roles that an answer may grant; absent: all but those of management. */
  readonly grantable?: readonly string[] | undefined;
  readonly kind: 'device' | 'application' | 'user' | undefined;
};

/** `random` must be the secure source. */
export type WebhookServices = { readonly clock: Clock; readonly random: Random; readonly log: Log };

/** What the service has said, and until when it may be said again without asking (monotonic clock). */
type Known = { readonly verdict: Verdict; readonly untilMs: number };

const cacheKeyBytes = 32;

export class WebhookAuthenticator implements Authenticator, MetricSource {
  readonly method = 'webhook';
  readonly #settings: WebhookSettings;
  readonly #clock: Clock;
  readonly #log: Log;
  readonly #cacheKey: Uint8Array;
  readonly #breaker: CircuitBreaker;
  readonly #known = new Map<string, Known>();
  /** Who asks the same while it is under way waits for the same answer. */
  readonly #underWay = new Map<string, ((verdict: Verdict) => void)[]>();
  readonly #closing = new AbortController();
  readonly #counts = { allowed: 0, denied: 0, failed: 0, remembered: 0, busy: 0, paused: 0 };

  constructor(settings: WebhookSettings, { clock, random, log }: WebhookServices) {
    this.#settings = settings;
    this.#clock = clock;
    this.#log = log;
    this.#cacheKey = random.bytes(cacheKeyBytes);
    this.#breaker = new CircuitBreaker(clock, settings.failures, settings.pauseMs);
  }

  authenticate(credentials: Credentials, answer: (verdict: Verdict) => void): void {
    const { username, password, certificate } = credentials;
    if (username === undefined && password === undefined && certificate === undefined) {
      return answer({ kind: 'next', reason: 'no-credentials' });
    }
    // It is cut to be a little longer than any may be: cut, it could be taken for another one.
    if (password !== undefined && password.length > maxSecretBytes) return answer({ kind: 'next', reason: 'password-too-long' });
    const question = questionOf(credentials);
    const key = createHmac('sha256', this.#cacheKey).update(question).digest('base64');
    const known = this.#known.get(key);
    if (known !== undefined && known.untilMs > this.#clock.monotonicMs()) {
      this.#counts.remembered++;
      return answer(known.verdict);
    }
    const waiting = this.#underWay.get(key);
    if (waiting !== undefined) return void waiting.push(answer);
    if (this.#underWay.size >= this.#settings.concurrency || this.#closing.signal.aborted) {
      this.#counts.busy++;
      return answer({ kind: 'overloaded' });
    }
    if (!this.#breaker.mayAsk()) {
      this.#counts.paused++;
      return answer({ kind: 'overloaded' });
    }
    const answers = [answer];
    this.#underWay.set(key, answers);
    void this.#ask(key, question).then((verdict) => {
      this.#underWay.delete(key);
      for (const each of answers) each(verdict);
    });
  }

  close(): void {
    this.#closing.abort();
    this.#known.clear();
  }

  *metrics(): Iterable<Sample> {
    const help =
      'Questions to the webhook: by what it said, failed, answered from memory, refused because too many are under way or it is paused.';
    for (const [result, value] of Object.entries(this.#counts)) {
      yield { name: 'heliograph_security_webhook_total', help, type: 'counter', labels: { result }, value };
    }
    const one = (name: string, text: string, value: number): Sample => ({
      name: `heliograph_security_webhook_${name}`,
      help: text,
      type: 'gauge',
      value,
    });
    yield one('running', 'Questions to the webhook that are under way.', this.#underWay.size);
    yield one('remembered', 'Answers of the webhook that are remembered.', this.#known.size);
    yield one('paused', '1 while the webhook is not asked, because it failed.', this.#breaker.isOpen ? 1 : 0);
  }

  async #ask(key: string, question: string): Promise<Verdict> {
    const { url, authorization, timeoutMs, maxAnswerBytes } = this.#settings;
    const answer = await askJson({
      url,
      timeoutMs,
      maxBytes: maxAnswerBytes,
      body: question,
      ...(authorization !== undefined && { headers: { authorization } }),
      signal: this.#closing.signal,
    });
    if (!answer.ok) return this.#failed(answer.fault);
    if (answer.status !== 200) return this.#failed(`status ${answer.status}`);
    const said = this.#verdictOf(answer.value);
    if (typeof said === 'string') {
      // It answers. A peer whose name cannot be used here must not be able to keep out all others.
      this.#breaker.succeeded();
      this.#counts.failed++;
      return { kind: 'overloaded' };
    }
    if (this.#breaker.isOpen) this.#log.info('security.webhook.answers');
    this.#breaker.succeeded();
    this.#counts[said.kind === 'proved' ? 'allowed' : 'denied']++;
    this.#remember(key, said, answer.value['cacheSec']);
    return said;
  }

  #failed(why: string): Verdict {
    this.#counts.failed++;
    const wasOpen = this.#breaker.isOpen;
    this.#breaker.failed();
    if (!wasOpen && this.#breaker.isOpen) this.#log.warn('security.webhook.paused', { why, pauseMs: this.#settings.pauseMs });
    return { kind: 'overloaded' };
  }

  /** What it says, or why that makes no sense. */
  #verdictOf(said: Readonly<Record<string, unknown>>): Verdict | string {
    const { allow, id, tenant = this.#settings.tenant, roles, groups, labels, expiresInSec } = said;
    if (allow === false) return { kind: 'refused', reason: 'webhook-denied' };
    if (allow !== true) return 'the answer does not say `allow`';
    if (typeof id !== 'string' || nameFault(id) !== undefined) return 'the answer has no id that can be one';
    if (!this.#mayName(tenant)) return 'the answer names a tenant that it may not name';
    if (expiresInSec !== undefined && !(typeof expiresInSec === 'number' && expiresInSec > 0))
      return 'the answer has an expiresInSec that is none';
    const { kind, grantable } = this.#settings;
    const identity: Identity = {
      tenant,
      id,
      kind,
      roles: claimedRoles(roles, grantable),
      groups: claimedNames(groups),
      labels: claimedLabels(labels),
    };
    if (expiresInSec === undefined) return { kind: 'proved', identity };
    return { kind: 'proved', identity, expiresAtMs: this.#clock.wallMs() + expiresInSec * 1000 };
  }

  #mayName(tenant: unknown): tenant is string {
    const { tenant: own, tenants } = this.#settings;
    if (typeof tenant !== 'string' || nameFault(tenant) !== undefined) return false;
    return tenant === own || tenants.includes(tenant);
  }

  #remember(key: string, verdict: Verdict, cacheSec: unknown): void {
    const { maxCacheMs, cacheEntries } = this.#settings;
    this.#known.delete(key);
    if (typeof cacheSec !== 'number' || !(cacheSec > 0)) return;
    let ms = Math.min(cacheSec * 1000, maxCacheMs);
    // Longer would let in who has no time left.
    if (verdict.kind === 'proved' && verdict.expiresAtMs !== undefined) ms = Math.min(ms, verdict.expiresAtMs - this.#clock.wallMs());
    if (ms <= 0 || cacheEntries === 0 || this.#closing.signal.aborted) return;
    if (this.#known.size >= cacheEntries) this.#known.delete(this.#known.keys().next().value!);
    this.#known.set(key, { verdict, untilMs: this.#clock.monotonicMs() + ms });
  }
}

/** Always the same text for the same credentials. A password that is no text is sent as base64. */
function questionOf({ clientId, username, password, listener, remoteAddress, secure, certificate }: Credentials): string {
  return JSON.stringify({ clientId, username, ...secretOf(password), listener, remoteAddress, secure, certificate });
}

function secretOf(password: Uint8Array | undefined): { readonly password?: string; readonly passwordBase64?: string } {
  if (password === undefined) return {};
  try {
    return { password: new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(password) };
  } catch {
    return { passwordBase64: Buffer.from(password).toString('base64') };
  }
}
