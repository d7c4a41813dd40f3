// What the target of a request names. Paths are cut before they are decoded, so that `%2F` is as good as `/` in a topic, and neither
// makes another resource of it.

export type Target =
  | { readonly kind: 'topic'; readonly topic: string }
  | { readonly kind: 'streams' }
  | { readonly kind: 'queue'; readonly queue: string; readonly verb: 'send' | QueueVerb }
  | { readonly kind: 'subscription'; readonly name: string; readonly verb: 'itself' | 'ack' }
  | { readonly kind: 'batch' }
  | { readonly kind: 'openapi' }
  | { readonly kind: 'unknown' }
  | { readonly kind: 'malformed' };

const queueVerbs = ['receive', 'ack', 'nack', 'reject', 'renew'] as const;
export type QueueVerb = (typeof queueVerbs)[number];

const topics = '/v1/topics/';
const queues = '/v1/queues/';
const subscriptions = '/v1/subscriptions/';

const malformed: Target = { kind: 'malformed' };
const unknown: Target = { kind: 'unknown' };

export function targetOf(path: string): Target {
  if (path.startsWith(topics)) {
    const topic = decoded(path.slice(topics.length));
    return topic === undefined ? malformed : { kind: 'topic', topic };
  }
  if (path.startsWith(queues)) return queueTarget(path.slice(queues.length));
  if (path.startsWith(subscriptions)) return subscriptionTarget(path.slice(subscriptions.length));
  switch (path) {
    case '/v1/topics':
      return { kind: 'streams' };
    case '/v1/messages':
      return { kind: 'batch' };
    case '/v1/openapi.json':
      return { kind: 'openapi' };
    default:
      return unknown;
  }
}

/** The name of a queue may hold slashes: they are written `%2F` where it is followed by a verb. */
function queueTarget(rest: string): Target {
  const cut = rest.indexOf('/');
  const queue = decoded(cut === -1 ? rest : rest.slice(0, cut));
  if (queue === undefined) return malformed;
  if (queue === '') return unknown;
  if (cut === -1) return { kind: 'queue', queue, verb: 'send' };
  const verb = queueVerbs.find((known) => known === rest.slice(cut + 1));
  return verb === undefined ? unknown : { kind: 'queue', queue, verb };
}

function subscriptionTarget(rest: string): Target {
  const [first = '', verb, ...more] = rest.split('/');
  const name = decoded(first);
  if (name === undefined) return malformed;
  if (name === '' || more.length > 0) return unknown;
  if (verb === undefined) return { kind: 'subscription', name, verb: 'itself' };
  return verb === 'ack' ? { kind: 'subscription', name, verb } : unknown;
}

function decoded(text: string): string | undefined {
  if (!text.includes('%')) return text;
  try {
    return decodeURIComponent(text);
  } catch {
    return undefined;
  }
}

/** The methods that a target knows, for Allow (RFC 9110 §10.2.1). */
export function methodsOf(target: Target): readonly string[] {
  switch (target.kind) {
    case 'topic':
      return ['GET', 'HEAD', 'POST', 'PUT', 'DELETE', 'OPTIONS'];
    case 'streams':
    case 'openapi':
      return ['GET', 'HEAD', 'OPTIONS'];
    case 'subscription':
      return target.verb === 'itself' ? ['DELETE', 'OPTIONS'] : ['POST', 'OPTIONS'];
    case 'queue':
    case 'batch':
      return ['POST', 'OPTIONS'];
    default:
      return [];
  }
}

/** `30s`, `500ms`, `2min`, or a number of seconds. Undefined: it is none. */
export function spanMs(text: string): number | undefined {
  const found = /^(\d{1,9})(ms|s|min|h|d|)$/.exec(text);
  if (found === null) return undefined;
  return Number(found[1]) * { ms: 1, s: 1000, '': 1000, min: 60_000, h: 3_600_000, d: 86_400_000 }[found[2] as 'ms' | 's' | ''];
}
