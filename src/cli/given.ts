// What is written on the command line, checked.

import { UserError } from '../base/user-error.ts';
import { nameFault, parseAccount } from '../message/names.ts';
import { exitCodes } from './exit-codes.ts';

/** `id` or `tenant/id`. @throws UserError */
export function accountOf(given: string, what: string): { readonly tenant: string; readonly name: string } {
  const found = parseAccount(given);
  if (found !== undefined) return found;
  throw new UserError(`"${given}" cannot be a ${what}'s ${what === 'user' ? 'name' : 'id'}.`, {
    fix: `use ${what === 'user' ? 'name or tenant/name' : 'id or tenant/id'}, without / + # in them`,
  });
}

export function nameOf(given: string, what: string): string {
  const fault = nameFault(given);
  if (fault === undefined) return given;
  throw new UserError(`"${given}" cannot be the name of a ${what}: it ${fault}.`, { fix: 'choose another one' });
}

export function labelsOf(given: readonly string[]): Record<string, string> {
  return Object.fromEntries(
    given.map((pair) => {
      const sign = pair.indexOf('=');
      if (sign < 1) throw new UserError(`"${pair}" is no label.`, { fix: 'write key=value, such as --label site=berlin' });
      return [pair.slice(0, sign), pair.slice(sign + 1)];
    }),
  );
}

export function countOf(given: string, what: string): number {
  const count = Number(given);
  if (Number.isSafeInteger(count) && count > 0) return count;
  throw new UserError(`"${given}" is no number of ${what}.`, { fix: 'use a whole number above 0', exitCode: exitCodes.wrongUsage });
}

const unitMs: Readonly<Record<string, number>> = { s: 1000, min: 60_000, h: 3_600_000, d: 86_400_000 };

/** `90s`, `30min`, `12h`, `7d`, in milliseconds. */
export function spanOf(given: string): number {
  const [, number, unit] = /^(\d{1,9})(s|min|h|d)$/.exec(given) ?? [];
  if (number !== undefined) return Number(number) * unitMs[unit!]!;
  throw new UserError(`"${given}" is no span of time.`, { fix: 'write 90s, 30min, 12h or 7d', exitCode: exitCodes.wrongUsage });
}

/** `name=number` pairs as quotas. */
export function quotasOf(given: readonly string[]): Record<string, number> {
  return Object.fromEntries(
    given.map((pair) => {
      const [, name, number] = /^([A-Za-z]+)=(\d{1,15})$/.exec(pair) ?? [];
      if (name === undefined) throw new UserError(`"${pair}" is no quota.`, { fix: 'write name=number, such as --quota connections=1000' });
      return [name, Number(number)];
    }),
  );
}
