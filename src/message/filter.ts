// Filters: topics with wildcards, and the two addresses that look like filters: `$share/<group>/<filter>` and `$queue/<name>`.

import { textProblem } from './topic.ts';

const sharePrefix = '$share/';
const queuePrefix = '$queue/';
const slash = 0x2f;
const plus = 0x2b;
const hash = 0x23;
const dollar = 0x24;

export type ParsedFilter =
  | { readonly kind: 'plain'; readonly filter: string }
  /** Consumers of the same group compete for the messages. */
  | { readonly kind: 'shared'; readonly group: string; readonly filter: string }
  /** Consumers of a named queue. */
  | { readonly kind: 'queue'; readonly name: string }
  | { readonly kind: 'invalid'; readonly problem: string };

/** Reads what a peer may subscribe to. `maxLevels` counts the levels of the filter without its `$share/<group>/`. */
export function parseFilter(text: string, maxLevels = Infinity): ParsedFilter {
  if (text.startsWith(sharePrefix)) return parseShared(text, maxLevels);
  if (text.startsWith(queuePrefix)) return parseQueue(text, maxLevels);
  const problem = filterProblem(text, maxLevels);
  return problem === undefined ? { kind: 'plain', filter: text } : { kind: 'invalid', problem };
}

function parseShared(text: string, maxLevels: number): ParsedFilter {
  const end = text.indexOf('/', sharePrefix.length);
  // [MQTT-4.8.2-2] The group is followed by `/` and a filter.
  if (end === -1) return invalid('a shared subscription is written $share/<group>/<filter>');
  const group = text.slice(sharePrefix.length, end);
  if (group === '') return invalid('the group of a shared subscription must have at least one character'); // [MQTT-4.8.2-1]
  // [MQTT-4.8.2-2]
  if (group.includes('+') || group.includes('#')) return invalid('the group of a shared subscription must not contain + and #');
  const filter = text.slice(end + 1);
  // The length limit holds for the whole text, the rest for the filter.
  const problem = textProblem(text, Infinity, 'filter') ?? filterProblem(filter, maxLevels);
  return problem === undefined ? { kind: 'shared', group, filter } : invalid(problem);
}

function parseQueue(text: string, maxLevels: number): ParsedFilter {
  const problem = textProblem(text, maxLevels, 'filter');
  if (problem !== undefined) return invalid(problem);
  const name = text.slice(queuePrefix.length);
  if (name === '') return invalid('the name of a queue must have at least one character');
  if (name.includes('+') || name.includes('#')) return invalid('the name of a queue must not contain + and #');
  return { kind: 'queue', name };
}

function invalid(problem: string): ParsedFilter {
  return { kind: 'invalid', problem };
}

/** Why `filter` cannot be subscribed to; undefined when it can. `$share/` and `$queue/` are not special here: see parseFilter. */
export function filterProblem(filter: string, maxLevels = Infinity): string | undefined {
  const problem = textProblem(filter, maxLevels, 'filter');
  if (problem !== undefined) return problem;
  for (let i = 0; i < filter.length; i++) {
    const code = filter.charCodeAt(i);
    if (code !== plus && code !== hash) continue;
    const startsLevel = i === 0 || filter.charCodeAt(i - 1) === slash;
    if (code === hash) {
      // [MQTT-4.7.1-1]
      if (!startsLevel || i !== filter.length - 1) return '# must be the last level of a filter and stand alone in it';
    } else if (!startsLevel || (i !== filter.length - 1 && filter.charCodeAt(i + 1) !== slash)) {
      return '+ must stand alone in its level'; // [MQTT-4.7.1-2]
    }
  }
  return undefined;
}

/** Whether a valid filter has a wildcard. */
export function hasWildcard(filter: string): boolean {
  return filter.includes('+') || filter.endsWith('#');
}

/** Whether a valid filter matches a valid topic. */
export function matches(filter: string, topic: string): boolean {
  if (topic.charCodeAt(0) === dollar) {
    // [MQTT-4.7.2-1] A wildcard in the first level does not see topics that start with `$`.
    const first = filter.charCodeAt(0);
    if (first === plus || first === hash) return false;
  }
  return matchesFrom(filter, 0, topic, 0);
}

/**
 * Whether the levels of `filter` from `f` on match those of `topic` from `t` on. Both positions are the start of a level, or
 * one past the end of the text when no level is left. The rule for `$` is the caller's.
 */
export function matchesFrom(filter: string, f: number, topic: string, t: number): boolean {
  for (;;) {
    if (f > filter.length) return t > topic.length;
    const code = filter.charCodeAt(f);
    if (code === hash) return true; // also the parent level itself: `a/#` matches `a`
    if (t > topic.length) return false;
    if (code === plus) {
      f += 2;
      t = levelEnd(topic, t) + 1;
      continue;
    }
    // The end of a text counts as a last `/`.
    for (;;) {
      const a = f < filter.length ? filter.charCodeAt(f) : slash;
      const b = t < topic.length ? topic.charCodeAt(t) : slash;
      if (a !== b) return false;
      f++;
      t++;
      if (a === slash) break;
    }
  }
}

/** Where the level that starts at `start` ends: at its `/`, or at the end of the text. */
export function levelEnd(text: string, start: number): number {
  const end = text.indexOf('/', start);
  return end === -1 ? text.length : end;
}
