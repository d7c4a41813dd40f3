// What a destination means (docs/stomp.md). `/topic/…`, `/queue/…` and `/share/…` are how other brokers write them; everything else
// is a topic or filter as MQTT writes it.

/** How a client writes destinations: it gets them as it wrote its own. */
export type Style = 'paths' | 'plain';

export type Destination = {
  /** For the broker: a topic or filter, `$queue/<name>` or `$share/<group>/<filter>`. */
  readonly filter: string;
  readonly style: Style;
};

const paths: readonly (readonly [prefix: string, meaning: string])[] = [
  ['/topic/', ''],
  ['/queue/', '$queue/'],
  ['/share/', '$share/'],
];

export function parseDestination(text: string): Destination {
  for (const [prefix, meaning] of paths) {
    if (text.startsWith(prefix)) return { filter: meaning + text.slice(prefix.length), style: 'paths' };
  }
  return { filter: text, style: 'plain' };
}

/** A topic of the broker, or `$queue/<name>`, as a destination. */
export function destinationOf(topic: string, style: Style): string {
  if (style === 'plain') return paths.some(([prefix]) => topic.startsWith(prefix)) ? `/topic/${topic}` : topic;
  return topic.startsWith('$queue/') ? `/queue/${topic.slice('$queue/'.length)}` : `/topic/${topic}`;
}
