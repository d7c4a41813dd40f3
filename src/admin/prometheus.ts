// Metrics as text, in the exposition format 0.0.4 of Prometheus.

import type { Histogram, Labels, MetricSource, Sample } from '../base/metrics.ts';

export const prometheusContentType = 'text/plain; version=0.0.4; charset=utf-8';

type Family = { readonly help: string; readonly type: Sample['type']; readonly lines: string[] };

/**
 * All samples of all sources, those of one name together, as the format demands. A source may use a name that another one uses
 * as well; a name with two types would be a bug of ours, and the later samples are left out then.
 */
export function renderMetrics(sources: Iterable<MetricSource>): string {
  const families = new Map<string, Family>();
  for (const source of sources) {
    for (const sample of source.metrics()) {
      let family = families.get(sample.name);
      if (family === undefined) {
        family = { help: sample.help, type: sample.type, lines: [] };
        families.set(sample.name, family);
      }
      if (family.type !== sample.type) continue;
      if (sample.type === 'histogram') histogramLines(family.lines, sample.name, sample.labels, sample.value);
      else family.lines.push(`${sample.name}${labelText(sample.labels)} ${numberText(sample.value)}`);
    }
  }
  let text = '';
  for (const [name, { help, type, lines }] of families) {
    text += `# HELP ${name} ${help.replaceAll('\\', '\\\\').replaceAll('\n', '\\n')}\n# TYPE ${name} ${type}\n${lines.join('\n')}\n`;
  }
  return text;
}

/** Buckets are cumulative, and the last one counts everything. */
function histogramLines(lines: string[], name: string, labels: Labels | undefined, histogram: Histogram): void {
  let count = 0;
  for (let i = 0; i <= histogram.bounds.length; i++) {
    count += histogram.counts[i]!;
    const bound = i === histogram.bounds.length ? '+Inf' : numberText(histogram.bounds[i]!);
    lines.push(`${name}_bucket${labelText({ ...labels, le: bound })} ${count}`);
  }
  lines.push(`${name}_sum${labelText(labels)} ${numberText(histogram.sum)}`, `${name}_count${labelText(labels)} ${count}`);
}

function labelText(labels: Labels | undefined): string {
  if (labels === undefined) return '';
  const entries = Object.entries(labels);
  return entries.length === 0 ? '' : `{${entries.map(([name, value]) => `${name}="${escaped(value)}"`).join(',')}}`;
}

function escaped(value: string): string {
  return value.replaceAll('\\', '\\\\').replaceAll('"', '\\"').replaceAll('\n', '\\n');
}

function numberText(value: number): string {
  if (Number.isNaN(value)) return 'NaN';
  if (value === Infinity) return '+Inf';
  return value === -Infinity ? '-Inf' : String(value);
}
