// Patterns of access rules, and the three questions about them: does a topic match, does a pattern cover a whole filter, does it
// touch a filter at all. The grammar is that of MQTT filters, with `${id}` and `${tenant}` standing for the principal's.
//
// A variable is put in level by level, after the pattern was split: whatever an id holds, it can never become a wildcard or
// a second level.

import type { Principal } from './security.ts';

const variables = /\$\{([^}]*)\}/g;

/** Text with `${…}` in it, to be filled per principal. Even parts are text, odd ones names of variables. */
class LevelTemplate {
  readonly #parts: readonly string[];

  constructor(text: string) {
    this.#parts = text.split(variables);
  }

  fill(principal: Principal): string {
    const parts = this.#parts;
    let text = parts[0]!;
    for (let i = 1; i < parts.length; i += 2) text += (parts[i] === 'id' ? principal.id : principal.tenant) + parts[i + 1]!;
    return text;
  }
}

const anyLevel = Symbol('+');
const anyRest = Symbol('#');

type Level = string | LevelTemplate | typeof anyLevel | typeof anyRest;

/** One pattern, split and checked. */
export type TopicPattern = { readonly text: string; readonly levels: readonly Level[] };

/** What is wrong with a pattern, in words; undefined when nothing is. */
export function patternFault(text: string): string | undefined {
  if (text.length === 0) return 'is empty';
  if (text.includes('\0')) return 'holds a NUL character';
  if (text.startsWith('$share/')) return 'names a shared subscription; write the filter behind `$share/<group>/`, and the action `consume`';
  for (const [, name] of text.matchAll(variables)) {
    if (name !== 'id' && name !== 'tenant') return `holds the unknown variable \${${name}}; there are \${id} and \${tenant}`;
  }
  const levels = text.split('/');
  for (const [i, level] of levels.entries()) {
    if (level === '+' || level === '#') {
      if (level === '#' && i < levels.length - 1) return 'has `#` before its last level';
    } else if (level.includes('+') || level.includes('#')) {
      return `has a wildcard inside the level \`${level}\`; wildcards stand for whole levels`;
    }
  }
  return undefined;
}

/** `text` must have no `patternFault`. */
export function compilePattern(text: string): TopicPattern {
  const levels = text.split('/').map((level): Level => {
    if (level === '+') return anyLevel;
    if (level === '#') return anyRest;
    return level.search(variables) === -1 ? level : new LevelTemplate(level);
  });
  return { text, levels };
}

function filled(level: string | LevelTemplate, principal: Principal): string {
  return typeof level === 'string' ? level : level.fill(principal);
}

/** Topics that start with `$` are only reached by patterns that write that level out [MQTT-4.7.2-1]. */
function hiddenFromWildcards(first: string | undefined): boolean {
  return first !== undefined && first.charCodeAt(0) === 36;
}

/** Does `pattern` match the topic of these levels? Nothing in a topic is a wildcard. */
export function matchesTopic(pattern: TopicPattern, topic: readonly string[], principal: Principal): boolean {
  const { levels } = pattern;
  for (let i = 0; i < levels.length; i++) {
    const level = levels[i]!;
    if (level === anyRest) return i > 0 || !hiddenFromWildcards(topic[0]);
    if (i >= topic.length) return false;
    if (level === anyLevel) {
      if (i === 0 && hiddenFromWildcards(topic[0])) return false;
    } else if (filled(level, principal) !== topic[i]) {
      return false;
    }
  }
  return levels.length === topic.length;
}

/** The same as `#`, because every topic has a first level: lets `+/#` cover it. */
const everything: readonly string[] = ['+', '#'];

/** Does `pattern` match every topic that the filter of these levels matches? */
export function coversFilter(pattern: TopicPattern, filterLevels: readonly string[], principal: Principal): boolean {
  const filter = filterLevels[0] === '#' ? everything : filterLevels;
  const { levels } = pattern;
  for (let i = 0; i < levels.length; i++) {
    const level = levels[i]!;
    if (level === anyRest) return i > 0 || !hiddenFromWildcards(filter[0]);
    // Where the filter goes on for ever, or also takes the parent level, a pattern without `#` here does not follow.
    if (i >= filter.length || filter[i] === '#') return false;
    if (level === anyLevel) {
      if (i === 0 && hiddenFromWildcards(filter[0])) return false;
    } else if (filter[i] === '+' || filled(level, principal) !== filter[i]) {
      return false;
    }
  }
  return levels.length === filter.length;
}

/** Is there a topic that both `pattern` and the filter of these levels match? */
export function touchesFilter(pattern: TopicPattern, filter: readonly string[], principal: Principal): boolean {
  const { levels } = pattern;
  for (let i = 0; ; i++) {
    const level = levels[i];
    const other = filter[i];
    if (level === undefined && other === undefined) return true;
    if (level === anyRest) return i > 0 || !hiddenFromWildcards(other);
    if (other === '#') return i > 0 || level === anyLevel || level === undefined || !hiddenFromWildcards(filled(level, principal));
    if (level === undefined || other === undefined) return false;
    if (level === anyLevel) {
      if (i === 0 && hiddenFromWildcards(other)) return false;
    } else {
      const text = filled(level, principal);
      if (other === '+' ? i === 0 && hiddenFromWildcards(text) : text !== other) return false;
    }
  }
}
