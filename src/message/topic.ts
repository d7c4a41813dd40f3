// Topics: levels separated by `/`. Any character that MQTT allows is ordinary here; only NUL and, in topics, the two wildcards are not.

/** A topic or filter travels behind a two-byte length [MQTT-4.7.3-3]. */
const maxTopicBytes = 65_535;

/**
 * Why `topic` cannot be published to; undefined when it can.
 * `maxLevels` is the operator's limit: it bounds the depth of the trees that hold topics.
 */
export function topicProblem(topic: string, maxLevels = Infinity): string | undefined {
  const problem = textProblem(topic, maxLevels, 'topic');
  if (problem !== undefined) return problem;
  // [MQTT-4.7.1-1] [MQTT-3.3.2-2]
  if (topic.includes('+') || topic.includes('#')) return 'a topic must not contain the wildcards + and #';
  return undefined;
}

/** What topics and filters have in common: length, characters and depth. `what` names it in the answer. */
export function textProblem(text: string, maxLevels: number, what: 'topic' | 'filter'): string | undefined {
  if (text === '') return `a ${what} must have at least one character`; // [MQTT-4.7.3-1]
  if (text.length > maxTopicBytes / 3 && Buffer.byteLength(text) > maxTopicBytes) return `a ${what} must not exceed ${maxTopicBytes} bytes`;
  if (text.includes('\0')) return `a ${what} must not contain NUL`; // [MQTT-4.7.3-2]
  if (!text.isWellFormed()) return `a ${what} must be well-formed Unicode`; // [MQTT-1.5.4-1]
  if (maxLevels <= text.length && levelCount(text) > maxLevels) return `a ${what} must not have more than ${maxLevels} levels`;
  return undefined;
}

export function levelCount(text: string): number {
  let levels = 1;
  for (let at = text.indexOf('/'); at !== -1; at = text.indexOf('/', at + 1)) levels++;
  return levels;
}
