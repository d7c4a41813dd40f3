// A received message for scripts.

import type { IncomingMessage } from '../client/index.ts';

const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

/** One line. A payload that is not UTF-8 is in base64, and so is binary correlation data. */
export function messageAsJson({ topic, payload, qos, retain, dup, properties = {} }: IncomingMessage): string {
  const { correlationData, userProperties, subscriptionIdentifiers, topicAlias: _, ...plain } = properties;
  const shown = {
    ...plain,
    ...(correlationData === undefined ? {} : { correlationData: text(correlationData) }),
    ...(subscriptionIdentifiers === undefined ? {} : { subscriptionIdentifiers }),
    // As pairs: keys may come several times, and their order counts.
    ...(userProperties === undefined ? {} : { userProperties: userProperties.map(({ key, value }) => [key, value]) }),
  };
  return JSON.stringify({ topic, ...named(payload), qos, retain, dup, properties: shown });
}

function named(payload: Uint8Array): { payload: string; encoding: 'utf8' | 'base64' } {
  const { value, encoding } = text(payload);
  return { payload: value, encoding };
}

function text(bytes: Uint8Array): { value: string; encoding: 'utf8' | 'base64' } {
  try {
    return { value: utf8.decode(bytes), encoding: 'utf8' };
  } catch {
    return { value: Buffer.from(bytes).toString('base64'), encoding: 'base64' };
  }
}
