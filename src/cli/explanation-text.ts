// A decision of access in words.

import type { Explanation, Finding } from '../security/policy/explain.ts';

/** As the management API answers it. */
export type Explained = Omit<Explanation, 'reason'> & {
  readonly reason: Explanation['reason'] | 'barred';
  readonly principal?: {
    readonly kind: string;
    readonly roles: readonly string[];
    readonly groups: readonly string[];
    readonly labels: Readonly<Record<string, string>>;
  };
};

const withoutStatement: Readonly<Record<Explained['reason'], string>> = {
  'allowed-by': '',
  'denied-by': '',
  'nothing-allows': 'no statement allows it',
  'not-restricted': 'whoever has proved who it is may connect, and no statement says otherwise',
  'broker-only': 'only the broker publishes to $SYS',
  invalid: 'this is no filter',
  'unknown-tenant': 'the policies of the tenant could not be read',
  barred: 'the principal may not come in',
};

export function explanationText({ isAllowed, reason, decisive, findings, notes, principal }: Explained, question: string): string {
  const lines = [`${isAllowed ? 'allowed' : 'denied'}: ${question}`];
  if (decisive === undefined) lines.push(`  because ${withoutStatement[reason]}`);
  else lines.push(`  by ${placeOf(decisive)}: ${decisive.effect} ${patternOf(decisive)}${unknownOf(decisive)}`);
  const others = findings.filter((finding) => !isSame(finding, decisive));
  if (others.length > 0) lines.push('also looked at:');
  for (const finding of others) lines.push(`  ${finding.effect.padEnd(5)} ${placeOf(finding)}: ${outcomeOf(finding)}`);
  if (principal !== undefined) lines.push(`the principal: ${factsOf(principal)}`);
  for (const note of notes) lines.push(`note: ${note}`);
  return `${lines.join('\n')}\n`;
}

function isSame({ origin }: Finding, other: Finding | undefined): boolean {
  return (
    other !== undefined && origin.source === other.origin.source && origin.name === other.origin.name && origin.index === other.origin.index
  );
}

function placeOf({ origin: { source, name, index }, title }: Finding): string {
  const words = title === undefined ? '' : ` (${title})`;
  if (source === 'built-in') return `the built-in role ${name}`;
  if (source === 'configuration') return `${name}[${index}] of the configuration`;
  return `statements[${index}]${words} of the policy ${source === 'file' ? 'file ' : ''}${name}`;
}

function patternOf({ pattern }: Finding): string {
  return pattern === undefined ? 'of anything' : `of ${pattern}`;
}

/** Why a deny applies although nobody knows whether it should. */
function unknownOf({ condition }: Finding): string {
  return condition === undefined ? '' : `, because its condition ${condition} cannot be known here`;
}

function outcomeOf({ outcome, condition, pattern }: Finding): string {
  switch (outcome) {
    case 'applies':
      return `${pattern ?? 'anything'} fits, too`;
    case 'topic-differs':
      return 'no pattern fits';
    case 'condition-unmet':
      return `${pattern ?? 'anything'} fits, but the condition ${condition} is not met`;
    case 'condition-unknown':
      return `${pattern ?? 'anything'} fits, but the condition ${condition} cannot be known here`;
    case 'node-only':
      return 'what belongs to the node as a whole is not for this tenant to grant';
  }
}

function factsOf({ kind, roles, groups, labels }: NonNullable<Explained['principal']>): string {
  const list = (what: string, names: readonly string[]): string => `${what} ${names.length === 0 ? '-' : names.join(', ')}`;
  const pairs = Object.entries(labels).map(([key, text]) => `${key}=${text}`);
  return [kind, list('roles', roles), list('groups', groups), list('labels', pairs)].join('; ');
}
