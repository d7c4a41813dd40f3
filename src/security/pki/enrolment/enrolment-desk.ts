// Where all ways of enrolment come together: who asks has proved something (a token, a certificate, a session), and is given a
// certificate for its own name, if limits and the authority agree. Everything that is decided here is told to the audit log.

import type { Clock } from '../../../base/clock.ts';
import type { MetricSource, Sample } from '../../../base/metrics.ts';
import type { Entry, Owner } from '../../../registry/entries.ts';
import type { Actor, Audit } from '../../audit/audit.ts';
import { addressKey } from '../../../base/address-key.ts';
import { Lockout } from '../../lockout.ts';
import type { LockoutLimits } from '../../lockout.ts';
import type { PeerCertificate } from '../../security.ts';
import type { IssuedCertificate, Pki, PkiResult } from '../pki.ts';
import type { EnrolmentTokens, TokenUse } from './enrolment-tokens.ts';
import { done, fault } from './enrolment.ts';
import type { EnrolmentFaultCode, EnrolmentResult } from './enrolment.ts';
import { IssueBudget } from './issue-budget.ts';
import { derOfRequest, readRequestFacts } from './request-facts.ts';
import type { RequestFacts } from './request-facts.ts';

export type DeskLimits = {
  /** Certificates being issued at a time, over all ways. */
  readonly maxInFlight: number;
  readonly maxRequestBytes: number;
  /** Certificates for one owner in an hour. */
  readonly certificatesPerHour: number;
  /** Mistakes of one address. */
  readonly lockout: LockoutLimits;
};

export type DeskServices = { readonly tokens: EnrolmentTokens; readonly pki: Pki; readonly clock: Clock; readonly audit: Audit };

/** A new key that was made for the device, which nobody keeps. */
export type EnrolledWithKey = IssuedCertificate & { readonly privateKey: string };

/** Whose certificate was shown, or session it is. */
export type Holder = {
  readonly tenant: string;
  readonly owner: Owner;
  readonly method: string;
  /** The certificate that is to be renewed: what of its names the request repeats must be the same (RFC 7030 §4.2.2). */
  readonly renews?: PeerCertificate;
};

export type TokenEnrolment = {
  readonly token: string;
  /** Undefined: the common name of the request. */
  readonly device: string | undefined;
  readonly request: Uint8Array;
  readonly from: string;
};

/** Owners and keys that are remembered. Stops strangers from filling the memory with names. */
const maxRemembered = 10_000;

export class EnrolmentDesk implements MetricSource {
  readonly #services: DeskServices;
  readonly #limits: DeskLimits;
  readonly #addresses: Lockout;
  readonly #budget: IssueBudget;
  /** Owners that are being given a certificate. Each once: what it has is looked at before, and nobody waits in memory. */
  readonly #underWay = new Set<string>();
  /** Key for which a device was last given a certificate, in the order of time: an answer may get lost on its way. */
  readonly #lastKeys = new Map<string, string>();
  readonly #counts = new Map<string, number>();

  /** `limits` may change in place. */
  constructor(services: DeskServices, limits: DeskLimits) {
    this.#services = services;
    this.#limits = limits;
    this.#addresses = new Lockout(limits.lockout, services.clock);
    this.#budget = new IssueBudget(services.clock, maxRemembered);
  }

  /** Whoever is at this address is not listened to for a while. */
  isBanned(from: string): boolean {
    return this.#addresses.isBanned(addressKey(from));
  }

  /** The enrolment of a token, whatever its state; a wrong one counts against the address. */
  async knows(token: string, from: string): Promise<EnrolmentResult<Entry<'enrolment'>>> {
    if (this.isBanned(from)) return banned();
    const found = await this.#services.tokens.find(token);
    return found.ok ? found : this.#refuse(found, { kind: 'stranger' }, from, '', {});
  }

  /** For the key of the request. */
  withToken(enrolment: TokenEnrolment): Promise<EnrolmentResult<IssuedCertificate>> {
    return this.#byToken(enrolment, true, (facts, tenant, owner, actor) =>
      this.#services.pki.issue({ request: facts.der, tenant, owner, actor, from: enrolment.from }),
    );
  }

  /** For a key that is made here: that of the request is only there because a request has one (RFC 7030 §4.4.1). */
  withTokenAndNewKey(enrolment: TokenEnrolment): Promise<EnrolmentResult<EnrolledWithKey>> {
    return this.#byToken(enrolment, false, (_facts, tenant, owner, actor) =>
      this.#services.pki.issueWithKey({ tenant, owner, actor, from: enrolment.from }),
    );
  }

  /** For who already is somebody here: the next certificate of the same name. */
  async again(holder: Holder, request: Uint8Array, from: string): Promise<EnrolmentResult<IssuedCertificate>> {
    return this.#byHolder(holder, request, from, (facts, actor) =>
      this.#services.pki.issue({ request: facts.der, tenant: holder.tenant, owner: holder.owner, actor, from }),
    );
  }

  async againWithNewKey(holder: Holder, request: Uint8Array, from: string): Promise<EnrolmentResult<EnrolledWithKey>> {
    return this.#byHolder(holder, request, from, (_facts, actor) =>
      this.#services.pki.issueWithKey({ tenant: holder.tenant, owner: holder.owner, actor, from }),
    );
  }

  *metrics(): Iterable<Sample> {
    const name = 'heliograph_enrolment_requests_total';
    const help = 'Requests for certificates by devices, by what became of them.';
    for (const [outcome, value] of this.#counts) yield { name, help, type: 'counter', labels: { outcome }, value };
    yield { name: 'heliograph_enrolment_in_flight', help: 'Certificates being issued.', type: 'gauge', value: this.#underWay.size };
    yield {
      name: 'heliograph_enrolment_failing_addresses',
      help: 'Addresses with mistakes in enrolment that are not forgiven yet.',
      type: 'gauge',
      value: this.#addresses.size,
    };
  }

  // --- Within

  /** `isForItsKey`: what is issued is for the key of the request, so that a repeated one gives nothing to who does not have that key. */
  async #byToken<T extends IssuedCertificate>(
    { token, device, request, from }: TokenEnrolment,
    isForItsKey: boolean,
    issue: (facts: RequestFacts, tenant: string, owner: Owner, actor: Actor) => Promise<PkiResult<T>>,
  ): Promise<EnrolmentResult<T>> {
    const known = await this.knows(token, from);
    if (!known.ok) return known;
    const { tenant, id } = known.value;
    const read = this.#read(request, device);
    const details = { enrolment: id, tenant };
    const stranger: Actor = { kind: 'stranger' };
    if (!read.ok) return this.#refuse(read, stranger, from, `enrolment/${tenant}/${id}`, details);
    const { facts, name } = read.value;
    const target = `device/${tenant}/${name}`;
    const owner: Owner = { kind: 'device', id: name };
    const actor: Actor = { kind: 'principal', tenant, id: name, method: 'enrolment-token' };
    const issued = await this.#alone(target, async () => {
      const isRepeated = isForItsKey && this.#lastKeys.get(target) === facts.keyHash;
      const used = await this.#services.tokens.use(known.value, name, isRepeated);
      if (!used.ok) return used;
      const result = await this.#spend(target, () => issue(facts, tenant, owner, actor));
      if (!result.ok) await this.#giveBack(used.value);
      return result;
    });
    if (!issued.ok) return this.#refuse(issued, stranger, from, target, details);
    this.#accept('enrolment.use', issued.value, facts, actor, from, target, { enrolment: id });
    return issued;
  }

  async #byHolder<T extends IssuedCertificate>(
    { tenant, owner, method, renews }: Holder,
    request: Uint8Array,
    from: string,
    issue: (facts: RequestFacts, actor: Actor) => Promise<PkiResult<T>>,
  ): Promise<EnrolmentResult<T>> {
    const actor: Actor = { kind: 'principal', tenant, id: owner.id, method };
    const target = `${owner.kind}/${tenant}/${owner.id}`;
    if (this.isBanned(from)) return banned();
    const read = this.#read(request, owner.id);
    if (!read.ok) return this.#refuse(read, actor, from, target, {});
    const { facts } = read.value;
    if (renews !== undefined && !repeats(facts, renews)) {
      const message = 'the request names somebody else than the certificate that it renews';
      return this.#refuse(fault('foreign-name', message, { field: 'subject' }), actor, from, target, {});
    }
    const issued = await this.#alone(target, () => this.#spend(target, () => issue(facts, actor)));
    if (!issued.ok) return this.#refuse(issued, actor, from, target, {});
    this.#accept('enrolment.renew', issued.value, facts, actor, from, target, {});
    return issued;
  }

  /** What cannot be the right request for this name is refused before anything is counted. */
  #read(request: Uint8Array, device: string | undefined): EnrolmentResult<{ facts: RequestFacts; name: string }> {
    const { maxRequestBytes } = this.#limits;
    if (request.length > maxRequestBytes) return fault('too-large', `the request is larger than ${maxRequestBytes} bytes`);
    const der = derOfRequest(request);
    const facts = der === undefined ? undefined : readRequestFacts(der);
    if (facts === undefined) return fault('malformed', 'this is no certification request (PKCS #10)');
    const name = device ?? facts.commonNames[0];
    if (name === undefined) return fault('malformed', 'the request names no device', { field: 'subject.CN' });
    if (facts.commonNames.some((each) => each !== name)) {
      return fault('foreign-name', 'the request names somebody else than who asks', { field: 'subject.CN' });
    }
    return done({ facts, name });
  }

  async #spend<T>(owner: string, issue: () => Promise<PkiResult<T>>): Promise<EnrolmentResult<T>> {
    const retryAfterMs = this.#budget.spend(owner, this.#limits.certificatesPerHour);
    if (retryAfterMs > 0) return fault('rate-limited', 'it has been given too many certificates in a short time', { retryAfterMs });
    const issued = await issue();
    return !issued.ok && issued.error.code === 'unavailable'
      ? fault('unavailable', issued.error.message, { retryAfterMs: 30_000 })
      : issued;
  }

  async #alone<T>(owner: string, work: () => Promise<EnrolmentResult<T>>): Promise<EnrolmentResult<T>> {
    if (this.#underWay.has(owner)) return fault('busy', 'another request for it is being answered', { retryAfterMs: 1000 });
    if (this.#underWay.size >= this.#limits.maxInFlight) {
      return fault('busy', 'too many ask for certificates right now', { retryAfterMs: 2000 });
    }
    this.#underWay.add(owner);
    try {
      return await work();
    } finally {
      this.#underWay.delete(owner);
    }
  }

  async #giveBack(use: TokenUse): Promise<void> {
    if (await this.#services.tokens.giveBack(use)) return;
    const { tenant, id } = use;
    const target = `enrolment/${tenant}/${id}`;
    this.#services.audit.record({ actor: { kind: 'node' }, action: 'enrolment.give-back', target, from: '', outcome: 'failed' });
  }

  #accept(
    action: 'enrolment.use' | 'enrolment.renew',
    { serial, fingerprint }: IssuedCertificate,
    { keyHash }: RequestFacts,
    actor: Actor,
    from: string,
    target: string,
    details: Readonly<Record<string, string>>,
  ): void {
    this.#addresses.succeeded(addressKey(from));
    this.#lastKeys.delete(target);
    if (this.#lastKeys.size >= maxRemembered) this.#lastKeys.delete(this.#lastKeys.keys().next().value!);
    this.#lastKeys.set(target, keyHash);
    this.#count('done');
    this.#services.audit.record({ actor, action, target, from, outcome: 'done', details: { ...details, serial, fingerprint } });
  }

  #refuse(
    refused: EnrolmentResult<never>,
    actor: Actor,
    from: string,
    target: string,
    details: Readonly<Record<string, string>>,
  ): EnrolmentResult<never> {
    if (refused.ok) return refused;
    const { code } = refused.error;
    this.#count(code);
    const isTheirs = !oursOrLater.has(code);
    if (isTheirs) this.#addresses.failed(addressKey(from));
    const outcome = code === 'unavailable' ? 'failed' : 'refused';
    this.#services.audit.record({ actor, action: 'enrolment.refuse', target, from, outcome, details: { ...details, reason: code } });
    return refused;
  }

  #count(outcome: EnrolmentFaultCode | 'done'): void {
    this.#counts.set(outcome, (this.#counts.get(outcome) ?? 0) + 1);
  }
}

/** What the request leaves out is taken from the owner, as everything in the certificate is. */
function repeats({ commonNames, uris, hasOtherNames }: RequestFacts, { commonName, uris: own }: PeerCertificate): boolean {
  if (hasOtherNames || commonNames.some((each) => each !== commonName)) return false;
  return uris === undefined || (uris.length === own.length && uris.every((uri) => own.includes(uri)));
}

/** No mistake of who asks. */
const oursOrLater: ReadonlySet<EnrolmentFaultCode> = new Set(['unavailable', 'busy', 'rate-limited', 'not-enabled']);

function banned(): EnrolmentResult<never> {
  return fault('rate-limited', 'too many mistakes came from this address', { retryAfterMs: 30_000 });
}
