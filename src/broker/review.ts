// A look at sessions after something has changed: may their principals stay, and may they keep what they subscribe to? Spread over
// turns, so that a look at a hundred thousand sessions does not keep anybody waiting.

import type { Principal, Reassessment } from '../security/security.ts';
import type { Attachment } from './sessions/attachment.ts';
import type { ClientSession } from './sessions/client-session.ts';
import type { BrokerContext } from './context.ts';
import type { TopicSpace } from './routing/topic-space.ts';

/** Whose sessions are to be looked at. All fields must fit; without any it is everybody. */
export type Concerned = {
  readonly tenant?: string;
  readonly principals?: readonly string[];
  readonly where?: (principal: Principal) => boolean;
  /** On the wall clock: only who connected, or proved anew who it is, then or later. */
  readonly attachedSinceMs?: number;
};

export type ReviewResult = {
  /** Connected sessions that were looked at. */
  readonly sessions: number;
  /** Connections that were ended. */
  readonly cut: number;
  /** Subscriptions that were taken away. */
  readonly subscriptions: number;
};

/** See Security.reassess. */
export type Reassess = (principal: Principal, answer: (result: Reassessment) => void) => void;

/** Sessions and subscriptions looked at before other work gets its turn. */
const sliceWork = 250;
/** Answers that may be waited for at a time: each may be a question to another machine. */
const maxUnanswered = 1000;

export class Review {
  readonly #context: BrokerContext;
  readonly #concerned: Iterator<ClientSession>;
  readonly #reassess: Reassess;
  readonly #done: (result: ReviewResult) => void;
  #unanswered = 0;
  #isExhausted = false;
  #isScheduled = false;
  #work = 0;
  #sessions = 0;
  #cut = 0;
  #subscriptions = 0;

  constructor(context: BrokerContext, concerned: Iterator<ClientSession>, reassess: Reassess, done: (result: ReviewResult) => void) {
    this.#context = context;
    this.#concerned = concerned;
    this.#reassess = reassess;
    this.#done = done;
  }

  /** Looks at as many as are due in this turn. */
  run(): void {
    this.#isScheduled = false;
    this.#work = 0;
    while (!this.#isExhausted && this.#work < sliceWork && this.#unanswered < maxUnanswered) {
      const next = this.#concerned.next();
      if (next.done === true) this.#isExhausted = true;
      else this.#ask(next.value);
    }
    this.#goOn();
  }

  #goOn(): void {
    if (this.#isScheduled) return;
    if (this.#isExhausted) {
      if (this.#unanswered > 0) return;
      this.#isScheduled = true;
      this.#done({ sessions: this.#sessions, cut: this.#cut, subscriptions: this.#subscriptions });
    } else if (this.#unanswered < maxUnanswered) {
      this.#isScheduled = true;
      this.#context.turn.later(() => this.run());
    }
  }

  #ask(session: ClientSession): void {
    this.#work++;
    const { attachment } = session;
    if (attachment === undefined) return;
    this.#sessions++;
    this.#askOf(session, attachment);
  }

  #askOf(session: ClientSession, attachment: Attachment): void {
    const { principal } = session;
    this.#unanswered++;
    let isLater = false;
    this.#reassess(principal, (result) => {
      this.#unanswered--;
      // It has proved anew who it is: what was true of the earlier proof must not come back.
      if (session.attachment === attachment && session.principal !== principal) this.#askOf(session, attachment);
      else this.#answered(session, attachment, result);
      if (isLater) this.#goOn();
    });
    isLater = true;
  }

  #answered(session: ClientSession, attachment: Attachment, result: Reassessment): void {
    // Another connection has been asked about anew.
    if (session.attachment !== attachment) return;
    const { log } = this.#context;
    const who = { tenant: session.space.tenant, principal: session.principal.id, client: session.clientId };
    const mayConnect =
      result.standing === 'good' && this.#context.security.allows(result.principal, 'connect', attachment.connectsAs) ? result : undefined;
    if (mayConnect === undefined) {
      this.#cut++;
      this.#context.counters.sessionsCut++;
      log.info('session.cut', who);
      session.expel('administrative');
      return;
    }
    const revoked = session.reviewed(mayConnect.principal);
    this.#work += session.subscriptions.size + revoked.length;
    if (revoked.length === 0) return;
    this.#subscriptions += revoked.length;
    log.info('session.subscriptions.revoked', { ...who, count: revoked.length, first: revoked[0]! });
  }
}

/** Those there are when their turn comes. */
export function* concernedSessions(
  spaces: ReadonlyMap<string, TopicSpace>,
  { tenant, principals, where, attachedSinceMs = -Infinity }: Concerned,
): Generator<ClientSession, void, undefined> {
  for (const space of spaces.values()) {
    if (tenant !== undefined && space.tenant !== tenant) continue;
    for (const session of sessionsOf(space, principals)) {
      // Parts are looked at with their connection.
      if (session.attachment?.partOf !== undefined) continue;
      if (session.attachment === undefined || session.provenAtMs < attachedSinceMs) continue;
      if (where === undefined || where(session.principal)) yield session;
    }
  }
}

function* sessionsOf(space: TopicSpace, principals: readonly string[] | undefined): Generator<ClientSession, void, undefined> {
  if (principals === undefined) yield* space.sessions.values();
  else for (const id of principals) yield* space.principals.of(id);
}
