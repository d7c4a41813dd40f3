// What changed between two configurations, and whether it takes effect at once or at the next start.

import type { Config } from './schema.ts';
import { schemaTree } from './schema.ts';
import { child, type SchemaNode } from './schema-node.ts';

export type Change = {
  readonly path: string;
  readonly from: unknown;
  readonly to: unknown;
  readonly live: boolean;
};

export function differences(from: Config, to: Config): Change[] {
  const out: Change[] = [];
  compare(from, to, schemaTree, '', false, out);
  return out;
}

/** `before` with every change that can be made while running. */
export function withLiveChanges(before: Config, after: Config): Config {
  const merged = structuredClone(before);
  for (const change of differences(before, after)) {
    if (!change.live) continue;
    const keys = change.path.split('.');
    const last = keys.pop()!;
    let at = merged as unknown as Record<string, unknown>;
    for (const key of keys) at = at[key] as Record<string, unknown>;
    if (change.to === undefined) delete at[last];
    else at[last] = change.to;
  }
  return merged;
}

function compare(from: unknown, to: unknown, schema: SchemaNode, path: string, inheritedLive: boolean, out: Change[]): void {
  const live = schema.live ?? inheritedLive;
  if (isRecord(from) && isRecord(to)) {
    for (const key of new Set([...Object.keys(from), ...Object.keys(to)])) {
      compare(from[key], to[key], child(schema, key) ?? {}, path === '' ? key : `${path}.${key}`, live, out);
    }
    return;
  }
  if (JSON.stringify(from) !== JSON.stringify(to)) out.push({ path, from, to, live });
}

function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
