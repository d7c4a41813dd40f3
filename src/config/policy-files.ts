// Policies as files: JSON, or YAML for who writes by hand. They bind whom their statements name, in every tenant.

import { readFileSync, statSync } from 'node:fs';
import { parseDocument } from 'yaml';
import { UserError } from '../base/user-error.ts';
import type { PolicyFile } from '../security/policy/authorization.ts';
import { policyLimits, readPolicy } from '../security/policy/policy-document.ts';
import type { PolicyReading } from '../security/policy/policy-document.ts';
import { wrongUsageExitCode } from './problem.ts';

/** @throws UserError when one cannot be read, or is broken: with every fault */
export function readPolicyFiles(paths: readonly string[]): PolicyFile[] {
  return paths.map((path) => {
    const reading = readPolicyFile(path);
    if (reading.ok) return { name: path, document: reading.document };
    throw new UserError(`The policy cannot be used:\n${faultLines(path, reading)}`, { where: path, exitCode: wrongUsageExitCode });
  });
}

/** One line per fault. */
export function faultLines(name: string, { faults }: Extract<PolicyReading, { ok: false }>): string {
  return faults.map(({ path, what, fix }) => `${name}: ${path === '' ? 'the document' : path} ${what}. Fix: ${fix}.`).join('\n');
}

/** @throws UserError when the file cannot be read */
export function readPolicyFile(path: string): PolicyReading {
  try {
    // Before it is read: a file that is no policy may be of any size.
    if (statSync(path).size > policyLimits.bytes) {
      return { ok: false, faults: [{ path: '', what: `is larger than ${policyLimits.bytes} bytes`, fix: 'split it into several files' }] };
    }
    return readPolicyText(readFileSync(path, 'utf8'));
  } catch (error) {
    throw new UserError(`The policy cannot be read: ${(error as Error).message}`, {
      where: path,
      fix: 'check the path, and that this user may read the file',
      exitCode: wrongUsageExitCode,
      cause: error,
    });
  }
}

/** What begins with a brace is taken for JSON: it is read more strictly, and its faults are told with line and column. */
export function readPolicyText(text: string): PolicyReading {
  if (/^\s*\{/.test(text)) return readPolicy(text);
  if (Buffer.byteLength(text) > policyLimits.bytes) return readPolicy(text);
  const document = parseDocument(text, { prettyErrors: true, uniqueKeys: true, stringKeys: true });
  const [error] = [...document.errors, ...document.warnings];
  const broken = (what: string): PolicyReading => ({ ok: false, faults: [{ path: '', what, fix: 'correct the YAML at this place' }] });
  if (error !== undefined) return broken(`is not YAML: ${error.message.split('\n')[0]!.replace(/:$/, '')}`);
  try {
    // Aliases could make much out of little.
    return readPolicy((document.toJS({ maxAliasCount: 0 }) as unknown) ?? {});
  } catch {
    return broken('refers to an anchor, which policies cannot');
  }
}
