// An entry of the audit log as a syslog message (RFC 5424), its facts as structured data.

import { actorText } from './audit-line.ts';
import type { EntryLine } from './audit-line.ts';

/** log audit (RFC 5424 §6.2.1). */
const facility = 13;
const severity = { done: 6, refused: 4, failed: 3 } as const;
/** The enterprise number kept for documentation (RFC 5612): the project has none of its own. */
const dataId = 'heliograph@32473';

export function syslogMessage(
  entry: EntryLine,
  { hostname, processId }: { readonly hostname: string; readonly processId: number },
): string {
  const { seq, at, actor, action, target, from, outcome, details } = entry;
  const facts: Record<string, string> = { seq: String(seq), actor: actorText(actor), action, target, from, outcome };
  for (const [name, fact] of Object.entries(details ?? {})) facts[`d.${name}`] = String(fact);
  const data = Object.entries(facts).map(([name, fact]) => ` ${parameterName(name)}="${escaped(fact)}"`);
  const priority = facility * 8 + (severity[outcome] ?? 5);
  const head = `<${priority}>1 ${at} ${printable(hostname, 255)} heliograph ${processId} ${printable(action, 32)}`;
  return `${head} [${dataId}${data.join('')}] \uFEFF${oneLine(`${actorText(actor)} ${action} ${target}: ${outcome}`)}`;
}

/** PARAM-NAME: printable ASCII without `=`, space, `]`, `"`, at most 32 (RFC 5424 §6.3.3). */
function parameterName(name: string): string {
  return printable(name, 32).replace(/[=\]"]/g, '_');
}

function printable(text: string, maxLength: number): string {
  const kept = text.replace(/[^\x21-\x7e]/g, '_').slice(0, maxLength);
  return kept === '' ? '-' : kept;
}

/** RFC 5424 §6.3.3: `"`, `\` and `]` are escaped. */
function escaped(text: string): string {
  return oneLine(text).replace(/["\\\]]/g, '\\$&');
}

function oneLine(text: string): string {
  return text.replace(/\p{Cc}/gu, ' ');
}
