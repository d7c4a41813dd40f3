// The tokens of all tenants: made, listed, taken back, and used. A use is counted before anything is issued, together with the
// device that it adds, in one transaction; two that come for the last use of a token meet there, and one of them loses.

import type { Clock } from '../../../base/clock.ts';
import type { Random } from '../../../base/random.ts';
import { nameFault } from '../../../message/names.ts';
import type { Entry, Status } from '../../../registry/entries.ts';
import { maxPage } from '../../../registry/registry.ts';
import type { Page, PageQuery, Registry, RegistryError, Write } from '../../../registry/registry.ts';
import type { Audit } from '../../audit/audit.ts';
import { isForOne, matchesPattern, patternFault } from './device-pattern.ts';
import { done, fault } from './enrolment.ts';
import type { Asker, EnrolmentResult, Enrolments, EnrolmentView, NewEnrolment } from './enrolment.ts';
import { KeyedTurns } from './keyed-turns.ts';
import { hashOfToken, isToken, newToken } from './token.ts';
import { adminRole, managementRoles } from '../../policy/management-resources.ts';

/** `random` must be the secure source. */
export type TokenServices = { readonly registry: Registry; readonly clock: Clock; readonly random: Random; readonly audit: Audit };

const dayMs = 86_400_000;
const maxValidMs = 365 * dayMs;
const maxUsesOfOne = 1_000_000;
/** Other nodes may use the same token at the same moment. */
const maxAttempts = 16;
/** How long a token that has ended is shown, and how many that are older go when one is made: so they do not pile up for ever. */
const keepEndedMs = 30 * dayMs;
const maxForgotten = 100;
/** Certificates of a device that are looked at: it has a few, unless something is wrong with it. */
const certificatePage = 100;

type Enrolment = Entry<'enrolment'>;

/** One counted use. */
export type TokenUse = {
  readonly tenant: string;
  readonly id: string;
  readonly device: string;
  readonly added: Entry<'device'> | undefined;
};

export class EnrolmentTokens implements Enrolments {
  readonly #services: TokenServices;
  readonly #turns = new KeyedTurns();

  constructor(services: TokenServices) {
    this.#services = services;
  }

  async create(input: NewEnrolment, asker: Asker): Promise<EnrolmentResult<{ token: string; enrolment: EnrolmentView }>> {
    const { tenant, devicePattern, maxUses = 1, validMs = dayMs, newDevices } = input;
    const wrong = patternFault(devicePattern);
    if (wrong !== undefined) return fault('invalid', `the device pattern ${wrong}`, { field: 'devicePattern' });
    if (!Number.isInteger(maxUses) || maxUses < 1 || maxUses > maxUsesOfOne) {
      return fault('invalid', `a token can be used 1 to ${maxUsesOfOne} times`, { field: 'maxUses' });
    }
    if (!(validMs >= 1000 && validMs <= maxValidMs)) {
      return fault('invalid', `a token is valid for a second to ${maxValidMs / dayMs} days`, { field: 'validMs' });
    }
    const { registry, clock, random } = this.#services;
    await this.#forgetEnded(tenant);
    const { id, token } = newToken(random);
    const expiresAtMs = Math.round(clock.wallMs() + validMs);
    const fields = { tokenHash: hashOfToken(token), maxUses, expiresAtMs, devicePattern, newDevices };
    const created = await registry.create('enrolment', tenant, id, fields);
    this.#record('create', asker, tenant, id, created.ok ? 'done' : 'refused', {
      devicePattern,
      maxUses,
      addsDevices: newDevices !== undefined,
    });
    return created.ok ? done({ token, enrolment: viewOf(created.value) }) : inWords(created.error);
  }

  async list(tenant: string, query: PageQuery): Promise<EnrolmentResult<Page<EnrolmentView>>> {
    const page = await this.#services.registry.list('enrolment', tenant, query);
    return page.ok ? done({ entries: page.value.entries.map(viewOf), next: page.value.next }) : inWords(page.error);
  }

  async get(tenant: string, id: string): Promise<EnrolmentResult<EnrolmentView>> {
    const found = await this.#services.registry.get('enrolment', tenant, id);
    if (!found.ok) return inWords(found.error);
    return found.value === undefined ? fault('not-found', 'there is no such enrolment') : done(viewOf(found.value));
  }

  async setStatus(tenant: string, id: string, status: Status, asker: Asker): Promise<EnrolmentResult<EnrolmentView>> {
    const updated = await this.#services.registry.update('enrolment', tenant, id, { status });
    this.#record(status === 'active' ? 'enable' : 'disable', asker, tenant, id, updated.ok ? 'done' : 'refused');
    return updated.ok ? done(viewOf(updated.value)) : inWords(updated.error);
  }

  async remove(tenant: string, id: string, asker: Asker): Promise<EnrolmentResult<EnrolmentView>> {
    const removed = await this.#services.registry.remove('enrolment', tenant, id);
    this.#record('remove', asker, tenant, id, removed.ok ? 'done' : 'refused');
    return removed.ok ? done(viewOf(removed.value)) : inWords(removed.error);
  }

  /** The enrolment that a token proves to know, whatever state it is in. */
  async find(token: string): Promise<EnrolmentResult<Enrolment>> {
    if (!isToken(token)) return unknown();
    const found = await this.#services.registry.enrolmentByTokenHash(hashOfToken(token));
    if (!found.ok) return inWords(found.error);
    return found.value === undefined ? unknown() : done(found.value);
  }

  /** Counts a use for `device`, and adds the device where that is part of it. `hasSameKey`: it asks again for the key it already has. */
  use(enrolment: Enrolment, device: string, hasSameKey: boolean): Promise<EnrolmentResult<TokenUse>> {
    return this.#turns.run(`${enrolment.tenant}/${enrolment.id}`, () => this.#use(enrolment, device, hasSameKey));
  }

  async #use({ tenant, id }: Enrolment, device: string, hasSameKey: boolean): Promise<EnrolmentResult<TokenUse>> {
    const { registry } = this.#services;
    for (let attempt = 0; attempt < maxAttempts; attempt++) {
      const found = await registry.get('enrolment', tenant, id);
      if (!found.ok) return inWords(found.error);
      const refused = this.#refusal(found.value, device);
      if (refused !== undefined) return refused;
      const entry = found.value!;
      const known = await registry.get('device', tenant, device);
      if (!known.ok) return inWords(known.error);
      const barred = await this.#deviceRefusal(entry, known.value, device, hasSameKey);
      if (barred !== undefined) return barred;
      const applied = await registry.apply(writesOf(entry, known.value === undefined ? device : undefined), { atomic: true });
      if (applied.ok) {
        const second = applied.value[1];
        return done({ tenant, id, device, added: second?.ok === true ? (second.value as Entry<'device'>) : undefined });
      }
      const { code } = applied.error;
      // Somebody was quicker: with the token, or with the device.
      if (code === 'conflict' || (code === 'exists' && attempt === 0)) continue;
      if (code === 'exists') return fault('wrong-device', 'the name belongs to somebody who is no device');
      return inWords(applied.error);
    }
    return fault('busy', 'the token is being used by many at once', { retryAfterMs: 1000 });
  }

  #refusal(entry: Enrolment | undefined, device: string): EnrolmentResult<never> | undefined {
    if (entry === undefined) return unknown();
    if (entry.status !== 'active') return fault('token-disabled', 'the token has been disabled');
    if (this.#services.clock.wallMs() >= entry.expiresAtMs) return fault('token-expired', 'the token has expired');
    if (entry.uses >= entry.maxUses) return fault('token-used-up', 'the token has been used as often as it may be');
    if (nameFault(device) !== undefined || !matchesPattern(entry.devicePattern, device)) {
      return fault('wrong-device', 'the token is not good for a device of this name', { field: 'subject.CN' });
    }
    return undefined;
  }

  async #deviceRefusal(
    entry: Enrolment,
    device: Entry<'device'> | undefined,
    id: string,
    hasSameKey: boolean,
  ): Promise<EnrolmentResult<never> | undefined> {
    if (device === undefined) return entry.newDevices === undefined ? fault('unknown-owner', 'there is no device of this name') : undefined;
    if (device.status !== 'active') return fault('disabled', 'the device has been disabled');
    // Who holds a token for many devices could else become any of them: what has a certificate is not theirs to replace, and what
    // had one that was taken back would come back by itself.
    if (isForOne(entry.devicePattern)) return undefined;
    if (device.roles.some((role) => Object.hasOwn(managementRoles, role) || role === adminRole)) {
      return fault('wrong-device', 'the device manages something: ask for a token for this device alone', { field: 'subject.CN' });
    }
    const owner = { kind: 'device', id } as const;
    let isEnrolled = false;
    let after: string | undefined;
    do {
      const query = { owner, limit: certificatePage, ...(after === undefined ? {} : { after }) } as const;
      const page = await this.#services.registry.list('certificate', entry.tenant, query);
      if (!page.ok) return inWords(page.error);
      const inTime = page.value.entries.filter(({ notAfterMs }) => notAfterMs > this.#services.clock.wallMs());
      if (inTime.some(({ status, reason }) => status === 'revoked' && reason !== 'superseded')) {
        const message = 'a certificate of the device has been revoked: ask for a token for this device alone';
        return fault('already-enrolled', message, { field: 'subject.CN' });
      }
      isEnrolled ||= inTime.some(({ status }) => status === 'valid');
      after = page.value.next;
    } while (after !== undefined);
    if (isEnrolled && !hasSameKey) {
      const message = 'the device has a certificate: renew with it, or ask for a token for this device alone';
      return fault('already-enrolled', message, { field: 'subject.CN' });
    }
    return undefined;
  }

  /** Nothing was issued for this use: it counts no more, and the device that it added goes. */
  async giveBack({ tenant, id, device, added }: TokenUse): Promise<boolean> {
    const { registry } = this.#services;
    return this.#turns.run(`${tenant}/${id}`, async () => {
      // Somebody else may have made something of the device in the meantime: then it stays.
      if (added !== undefined) await registry.remove('device', tenant, device, added.version);
      for (let attempt = 0; attempt < maxAttempts; attempt++) {
        const found = await registry.get('enrolment', tenant, id);
        if (!found.ok || found.value === undefined || found.value.uses === 0) return false;
        const { uses, version } = found.value;
        const updated = await registry.update('enrolment', tenant, id, { uses: uses - 1 }, version);
        if (updated.ok) return true;
        if (updated.error.code !== 'conflict') return false;
      }
      return false;
    });
  }

  async #forgetEnded(tenant: string): Promise<void> {
    const { registry, clock, audit } = this.#services;
    const page = await registry.list('enrolment', tenant, { limit: maxPage });
    if (!page.ok) return;
    const ended = page.value.entries.filter(({ expiresAtMs }) => expiresAtMs + keepEndedMs < clock.wallMs()).slice(0, maxForgotten);
    if (ended.length === 0) return;
    const writes = ended.map(({ id, version }): Write => ({ do: 'remove', kind: 'enrolment', tenant, id, version }));
    const removed = await registry.apply(writes, { atomic: false });
    const outcome = removed.ok ? 'done' : 'failed';
    const details = { ended: ended.length };
    audit.record({ actor: { kind: 'node' }, action: 'enrolment.forget', target: `enrolment/${tenant}`, from: '', outcome, details });
  }

  #record(
    what: 'create' | 'enable' | 'disable' | 'remove',
    { actor, from }: Asker,
    tenant: string,
    id: string,
    outcome: 'done' | 'refused',
    details: Readonly<Record<string, string | number | boolean>> = {},
  ): void {
    this.#services.audit.record({ actor, from, action: `enrolment.${what}`, target: `enrolment/${tenant}/${id}`, outcome, details });
  }
}

function writesOf({ tenant, id, uses, version, newDevices }: Enrolment, added: string | undefined): Write[] {
  const writes: Write[] = [{ do: 'update', kind: 'enrolment', tenant, id, fields: { uses: uses + 1 }, version }];
  if (added !== undefined && newDevices !== undefined) writes.push({ do: 'create', kind: 'device', tenant, id: added, fields: newDevices });
  return writes;
}

function viewOf({ tenant, id, status, maxUses, uses, createdMs, expiresAtMs, devicePattern, newDevices }: Enrolment): EnrolmentView {
  return { tenant, id, status, maxUses, uses, createdMs, expiresAtMs, devicePattern, newDevices };
}

function unknown(): EnrolmentResult<never> {
  return fault('unknown-token', 'the token is not known here');
}

/** What the registry refused. */
export function inWords({ code, message, field }: RegistryError): EnrolmentResult<never> {
  const more = field === undefined ? {} : { field };
  if (code === 'not-found') return fault('not-found', message, more);
  const isOurs = code === 'unavailable' || code === 'full' || code === 'damaged' || code === 'later-version';
  return isOurs ? fault('unavailable', 'the registry cannot answer now', { retryAfterMs: 5000 }) : fault('invalid', message, more);
}
