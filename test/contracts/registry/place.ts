// Somewhere to keep a registry, and what the tests do with it.

import assert from 'node:assert/strict';
import { ManualClock, type Clock } from '../../../src/base/clock.ts';
import type { AuthorityRole, NewFields } from '../../../src/registry/entries.ts';
import type { Page, Registry, RegistryErrorCode, Result } from '../../../src/registry/registry.ts';

export interface RegistryPlace {
  open(clock: Clock): Promise<Registry>;
  /** After every registry of it was closed. */
  remove(): Promise<void>;
}

/** A place with a clock, whose registries are closed at the end. */
export type Opened = { readonly clock: ManualClock; readonly open: () => Promise<Registry> };

/** By name. */
export type RegistryTests = Readonly<Record<string, (place: Opened) => Promise<void>>>;

export function closing(place: RegistryPlace): { opened: Opened; end: () => Promise<void> } {
  const clock = new ManualClock();
  const registries: Registry[] = [];
  return {
    opened: {
      clock,
      open: async () => {
        const registry = await place.open(clock);
        registries.push(registry);
        return registry;
      },
    },
    async end() {
      await Promise.all(registries.map((registry) => registry.close()));
      await place.remove();
    },
  };
}

/** What it holds; a refusal fails the test. */
export function good<T>(result: Result<T>): T {
  assert.ok(result.ok, result.ok ? '' : `${result.error.code}: ${result.error.message}`);
  return result.value;
}

export function refused(result: Result<unknown>, code: RegistryErrorCode, field?: string): void {
  assert.ok(!result.ok, `expected ${code}, but it was done: ${JSON.stringify(result)}`);
  assert.equal(result.error.code, code, result.error.message);
  if (field !== undefined) assert.equal(result.error.field, field, result.error.message);
}

/** All pages, one after the other. */
export async function allPages<T>(ask: (after: string | undefined) => Promise<Result<Page<T>>>): Promise<{ entries: T[]; pages: number }> {
  const entries: T[] = [];
  let after: string | undefined;
  for (let pages = 1; ; pages++) {
    const page = good(await ask(after));
    entries.push(...page.entries);
    if (page.next === undefined) return { entries, pages };
    assert.notEqual(page.next, after, 'a page must lead on');
    after = page.next;
  }
}

/** 64 hex digits that say which. */
export function fingerprint(n: number): string {
  return n.toString(16).padStart(64, '0');
}

export const issuer = fingerprint(0xca);

export function certificate(n: number, more: Partial<NewFields<'certificate'>> = {}): NewFields<'certificate'> {
  return { serial: (n + 1).toString(16), issuer, subject: `CN=${n}`, notBeforeMs: 0, notAfterMs: 2e12, ...more };
}

export function enrolment(n: number, more: Partial<NewFields<'enrolment'>> = {}): NewFields<'enrolment'> {
  return { tokenHash: fingerprint(n), expiresAtMs: 2e12, devicePattern: 'pump-*', ...more };
}

/** Not a real certificate: the registry looks only at the frame. */
export const pem = '-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n';

export function authority(role: AuthorityRole, more: Partial<NewFields<'authority'>> = {}): NewFields<'authority'> {
  return { role, certificate: pem, subject: `CN=${role}`, notBeforeMs: 0, notAfterMs: 2e12, ...more };
}

export function approval(more: Partial<NewFields<'approval'>> = {}): NewFields<'approval'> {
  return { requestedBy: 'main/ann', summary: 'rotate the authority', request: '{"what":"rotate"}', expiresAtMs: 2e12, ...more };
}
