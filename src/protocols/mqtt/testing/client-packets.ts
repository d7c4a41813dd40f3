// What a client sends, as bytes.

import { Output } from '../../../base/output.ts';
import {
  type AckType,
  type Auth,
  type Connect,
  type Disconnect,
  PacketType,
  type Publish,
  type Subscribe,
  type Unsubscribe,
  type Version,
  writeAck,
  writeAuth,
  writeConnect,
  writeDisconnect,
  writePingreq,
  writePublishPacket,
  writeSubscribe,
  writeUnsubscribe,
} from '../codec/index.ts';

function bytesOf(write: (output: Output) => void): Buffer {
  const output = new Output(() => {});
  write(output);
  return Buffer.concat(output.takeChunks());
}

export function connect(version: Version, more: Partial<Connect> = {}): Buffer {
  return bytesOf((output) => writeConnect(output, { version, cleanStart: true, keepAlive: 0, clientId: 'c', ...more }));
}

export type PublishWords = Partial<Omit<Publish, 'payload'>> & { readonly payload?: string | Uint8Array };

export function publish(version: Version, { payload, ...more }: PublishWords = {}): Buffer {
  const bytes = Buffer.from((payload ?? 'x') as string);
  return bytesOf((output) =>
    writePublishPacket(output, version, { topic: 'a/b', payload: bytes, qos: 0, packetId: 0, dup: false, retain: false, ...more }),
  );
}

export function ack(version: Version, type: AckType, packetId: number, reason = 0): Buffer {
  return bytesOf((output) => writeAck(output, version, type, packetId, reason as never));
}

export function subscribe(
  version: Version,
  packetId: number,
  filters: readonly (string | Subscribe['subscriptions'][number])[],
  more: Partial<Subscribe> = {},
): Buffer {
  const subscriptions = filters.map((each) =>
    typeof each === 'string' ? ({ filter: each, qos: 1, noLocal: false, retainAsPublished: false, retainHandling: 0 } as const) : each,
  );
  return bytesOf((output) => writeSubscribe(output, version, { packetId, subscriptions, ...more }));
}

export function unsubscribe(version: Version, packetId: number, filters: readonly string[], more: Partial<Unsubscribe> = {}): Buffer {
  return bytesOf((output) => writeUnsubscribe(output, version, { packetId, filters, ...more }));
}

export function pingreq(): Buffer {
  return bytesOf(writePingreq);
}

export function disconnect(version: Version, reason = 0, more: Partial<Disconnect> = {}): Buffer {
  return bytesOf((output) => writeDisconnect(output, version, { reason: reason as never, ...more }));
}

export function auth(reason: number, authenticationMethod: string | undefined, data?: string): Buffer {
  const properties: Auth['properties'] = { authenticationMethod, authenticationData: data === undefined ? undefined : Buffer.from(data) };
  return bytesOf((output) => writeAuth(output, { reason: reason as never, properties }));
}

/** One packet of every type, well-formed, as somebody might send it at the wrong moment. */
export function everyPacket(version: Version): readonly (readonly [string, Buffer])[] {
  const list: [string, Buffer][] = [
    ['CONNECT', connect(version)],
    ['CONNACK', Buffer.from(version === 5 ? [0x20, 3, 0, 0, 0] : [0x20, 2, 0, 0])],
    ['PUBLISH', publish(version)],
    ['PUBACK', ack(version, PacketType.puback, 7)],
    ['PUBREC', ack(version, PacketType.pubrec, 7)],
    ['PUBREL', ack(version, PacketType.pubrel, 7)],
    ['PUBCOMP', ack(version, PacketType.pubcomp, 7)],
    ['SUBSCRIBE', subscribe(version, 7, ['a'])],
    ['SUBACK', Buffer.from(version === 5 ? [0x90, 4, 0, 7, 0, 0] : [0x90, 3, 0, 7, 0])],
    ['UNSUBSCRIBE', unsubscribe(version, 7, ['a'])],
    ['UNSUBACK', Buffer.from(version === 5 ? [0xb0, 4, 0, 7, 0, 0] : [0xb0, 2, 0, 7])],
    ['PINGREQ', pingreq()],
    ['PINGRESP', Buffer.from([0xd0, 0])],
    ['DISCONNECT', disconnect(version)],
    ['AUTH', Buffer.from([0xf0, 0])],
    ['reserved type 0', Buffer.from([0x00, 0])],
  ];
  if (version === 5) list[14] = ['AUTH', auth(0x19, 'M')];
  return list;
}
