// Results as tables: aligned for the terminal, Markdown for bench/README.md.

import { isFailure, metrics, shown, type Failure, type Measurement, type Metric } from './measurement.ts';
import type { Work } from './works.ts';

export type WorkResult = {
  readonly work: Work;
  /** When, on what machine, with which versions. */
  readonly setting: string;
  /** By the broker's name, ours first. */
  readonly outcomes: ReadonlyMap<string, Measurement | Failure>;
};

export type Verdict = { readonly met: boolean; readonly text: string };

const ours = 'heliograph';
const columns = [
  'perSecond',
  'cpuMicros',
  'p50Micros',
  'p99Micros',
  'p999Micros',
  'peakBytes',
  'lost',
  'brokerBusy',
  'generatorBusy',
  'foreign',
] as const;

/** A generator that is busier than this may be what was measured, unless the broker was, too. */
const busy = 0.9;
/** Above this share of the broker's core taken by others, rates say less than they seem to. */
const manyOthers = 0.1;

export function verdict({ work, outcomes }: WorkResult): Verdict {
  const own = outcomes.get(ours);
  if (own === undefined || isFailure(own)) return { met: false, text: own === undefined ? 'not measured' : `failed: ${own.failed}` };
  if (work.demands.length === 0) return { met: true, text: 'done' };
  const peers = new Map([...outcomes].filter((entry): entry is [string, Measurement] => !isFailure(entry[1])));
  const missed: string[] = [];
  const open: string[] = [];
  for (const demand of work.demands) {
    const met = demand.met(own, peers);
    if (met === false) missed.push(demand.text);
    if (met === undefined) open.push(demand.text);
  }
  if (missed.length > 0) return { met: false, text: `missed: ${missed.join('; ')}` };
  return { met: true, text: open.length === 0 ? 'met' : `met, except that nothing says whether ${open.join('; ')}` };
}

/** The rows of a work, a broker each. */
export function rowsOf({ work, outcomes }: WorkResult): string[][] {
  const own = outcomes.get(ours);
  return [...outcomes].map(([name, outcome]) => {
    if (isFailure(outcome)) return [work.title, name, outcome.failed];
    const cells = columns.map((metric) => cell(metric, outcome));
    const beside = outcome.mqttTimes === undefined ? '' : `${shown('mqttTimes', outcome.mqttTimes)} MQTT → MQTT`;
    const ratio = name === ours || own === undefined || isFailure(own) ? beside : ratioTo(own, outcome);
    return [work.title, name, ...cells, ratio];
  });
}

function cell(metric: Metric, measured: Measurement): string {
  const value = measured[metric];
  if (value === undefined) return '';
  const suspect =
    (metric === 'generatorBusy' && value > busy && (measured.brokerBusy ?? 0) < busy) || (metric === 'foreign' && value > manyOthers);
  return `${shown(metric, value)}${suspect ? ' !' : ''}`;
}

/** How many times more messages ours moves, or how many times less CPU it needs where the rate is given. */
function ratioTo(own: Measurement, peer: Measurement): string {
  if (own.perSecond === undefined || peer.perSecond === undefined) return '';
  const rate = own.perSecond / peer.perSecond;
  if (rate < 0.95 || rate > 1.05) return `${rate.toFixed(1)}× msg/s`;
  return own.cpuMicros === undefined || peer.cpuMicros === undefined ? '' : `${(peer.cpuMicros / own.cpuMicros).toFixed(2)}× less CPU`;
}

function isLoad({ outcomes }: WorkResult): boolean {
  return [...outcomes.values()].some((outcome) => !isFailure(outcome) && outcome.perSecond !== undefined);
}

/** Figures of a work that is not a flow of messages, in words. */
function figures(measured: Measurement | Failure): string {
  if (isFailure(measured)) return measured.failed;
  const known = (Object.keys(metrics) as Metric[]).filter((metric) => measured[metric] !== undefined);
  return known.map((metric) => `${metrics[metric].title} ${cell(metric, measured)}`).join(', ');
}

export function terminalTable(results: readonly WorkResult[]): string {
  const head = ['work', 'broker', ...columns.map((metric) => metrics[metric].title), 'ours to it'];
  const rows = results.filter((result) => isLoad(result)).flatMap((result) => rowsOf(result));
  const all = [head, ...rows];
  const widths = head.map((_, column) =>
    Math.max(...all.filter((row) => row.length > 3 || column < 2).map((row) => row[column]?.length ?? 0)),
  );
  const lines =
    rows.length === 0
      ? []
      : all.map((row) => row.map((text, i) => (i < 2 ? text.padEnd(widths[i]!) : text.padStart(widths[i]!))).join('  '));
  for (const result of results.filter((one) => !isLoad(one))) {
    for (const [name, outcome] of result.outcomes) lines.push(`${result.work.title}, ${name}: ${figures(outcome)}`);
  }
  lines.push('');
  for (const result of results) lines.push(`${verdict(result).met ? '✔' : '✖'} ${result.work.title}: ${verdict(result).text}`);
  return lines.join('\n');
}

function markdownRow(cells: readonly string[]): string {
  return `| ${cells.join(' | ')} |`;
}

/** What most results were measured in, and then each other setting with its works. */
function settingsOf(results: readonly WorkResult[]): string[] {
  const titles = new Map<string, string[]>();
  for (const { setting, work } of results) titles.set(setting, [...(titles.get(setting) ?? []), work.title]);
  const [most, ...others] = [...titles].toSorted(([, a], [, b]) => b.length - a.length);
  return [most?.[0] ?? '', ...others.map(([setting, list]) => `\nMeasured at another time: ${list.join('; ')}. ${setting}`)];
}

export function markdown(results: readonly WorkResult[]): string {
  const head = ['work', 'broker', ...columns.map((metric) => metrics[metric].title), 'ours to it'];
  const lines = [...settingsOf(results), '', markdownRow(head), `|---|---|${'---:|'.repeat(head.length - 2)}`];
  for (const result of results.filter((one) => isLoad(one))) {
    for (const [i, row] of rowsOf(result).entries()) {
      const padded = row.length === 3 ? [...row, ...Array<string>(head.length - 3).fill('')] : row;
      lines.push(markdownRow([i === 0 ? padded[0]! : '', ...padded.slice(1)]));
    }
  }
  lines.push('', '| work | broker | figures |', '|---|---|---|');
  for (const result of results.filter((one) => !isLoad(one))) {
    for (const [i, [name, outcome]] of [...result.outcomes].entries()) {
      lines.push(markdownRow([i === 0 ? result.work.title : '', name, figures(outcome)]));
    }
  }
  lines.push('', '| target | asked | verdict |', '|---|---|---|');
  for (const result of results) {
    const { work } = result;
    lines.push(markdownRow([work.title, work.demands.map((demand) => demand.text).join('; '), verdict(result).text]));
  }
  return lines.join('\n');
}

const begin = '<!-- results: written by `npm run bench -- --write` -->';
const end = '<!-- end of results -->';

/** @throws Error when the text has no place for results */
export function withResults(readme: string, results: string): string {
  const from = readme.indexOf(begin);
  const to = readme.indexOf(end);
  if (from < 0 || to < from) throw new Error(`bench/README.md has no lines ${begin} and ${end}`);
  return `${readme.slice(0, from + begin.length)}\n\n${results}\n\n${readme.slice(to)}`;
}
