// What must be refused, and with which reason: shared by the tests of the codec and of the connection.

import type { Side, Version } from '../packets.ts';
import { ReasonCode } from '../reason-codes.ts';

export type BadCase = {
  readonly name: string;
  readonly from: Side;
  readonly version: Version;
  /** `first`: sent where CONNECT (or CONNACK) is expected; `later`: on an open connection. */
  readonly when: 'first' | 'later';
  /** In the notation of wire.ts. */
  readonly bytes: string;
  readonly reason: ReasonCode;
  /** For a bad CONNECT: the version of the CONNACK that answers it; undefined: none does. */
  readonly answer?: Version;
};

const malformed = ReasonCode.malformedPacket;
const protocol = ReasonCode.protocolError;
const version = ReasonCode.unsupportedProtocolVersion;

function connect(name: string, bytes: string, reason: ReasonCode, answer?: Version): BadCase {
  return { name, from: 'client', version: answer ?? 4, when: 'first', bytes, reason, ...(answer === undefined ? {} : { answer }) };
}

/** What a client sends once it is connected. */
function client(version: Version, name: string, bytes: string, reason: ReasonCode): BadCase {
  return { name: `${name} (version ${version})`, from: 'client', version, when: 'later', bytes, reason };
}

function server(version: Version, name: string, bytes: string, reason: ReasonCode): BadCase {
  return { name: `${name} (version ${version})`, from: 'server', version, when: 'later', bytes, reason };
}

function all(versions: readonly Version[], name: string, bytes: string, reason: ReasonCode): BadCase[] {
  return versions.map((version) => client(version, name, bytes, reason));
}

const connects: readonly BadCase[] = [
  connect('[MQTT-3.1.0-1] PUBLISH before CONNECT', '30 { "t" }', protocol),
  connect('[MQTT-3.1.0-1] PINGREQ before CONNECT', 'c0 00', protocol),
  connect('type 0', '00 00', malformed),
  connect('another protocol: HTTP', `'GET / HTTP/1.1'`, protocol),
  connect('another protocol: TLS', '16 03 01 00 05', malformed),
  connect('[MQTT-2.1.3-1] CONNECT with flags', '11 { "MQTT" 04 02 00 00 "" }', malformed),
  connect('empty CONNECT', '10 00', malformed),
  connect('CONNECT that ends within the name', "10 { 00 04 'MQ' }", malformed),
  connect('[MQTT-3.1.2-1] CONNECT of another protocol', '10 { "MQTX" 04 02 00 00 "" }', version),
  connect('[MQTT-3.1.2-1] CONNECT with the name of 3.1 and the level of 3.1.1', '10 { "MQIsdp" 04 02 00 00 "" }', version, 4),
  connect('[MQTT-3.1.2-2] CONNECT with the name of 3.1.1 and the level of 3.1', '10 { "MQTT" 03 02 00 00 "" }', version, 4),
  connect('[MQTT-3.1.2-2] CONNECT with level 0', '10 { "MQTT" 00 02 00 00 "" }', version, 4),
  connect('[MQTT-3.1.2-2] CONNECT with level 6', '10 { "MQTT" 06 02 00 00 00 "" }', version, 5),
  connect('[MQTT-3.1.2-3] CONNECT 3.1.1 with the reserved flag', '10 { "MQTT" 04 03 00 00 "" }', malformed, 4),
  connect('[MQTT-3.1.2-3] CONNECT 5 with the reserved flag', '10 { "MQTT" 05 03 00 00 00 "" }', malformed, 5),
  connect('[MQTT-3.1.2-12] will with QoS 3', '10 { "MQTT" 05 1e 00 00 00 "" 00 "w" <> }', malformed, 5),
  connect('will with QoS 3, 3.1.1', '10 { "MQTT" 04 1e 00 00 "" "w" <> }', malformed, 4),
  connect('[MQTT-3.1.2-11] will QoS without a will', '10 { "MQTT" 05 0a 00 00 00 "" }', malformed, 5),
  connect('[MQTT-3.1.2-13] will retain without a will', '10 { "MQTT" 05 22 00 00 00 "" }', malformed, 5),
  connect('3.1.1: will QoS without a will', '10 { "MQTT" 04 0a 00 00 "" }', malformed, 4),
  connect('3.1.1: will retain without a will', '10 { "MQTT" 04 22 00 00 "" }', malformed, 4),
  connect('3.1.1: [MQTT-3.1.2-22] password without a user name', '10 { "MQTT" 04 42 00 00 "c" <01> }', malformed, 4),
  connect('CONNECT without a client identifier', '10 { "MQTT" 04 02 00 00 }', malformed, 4),
  connect('CONNECT with a will flag and no will', '10 { "MQTT" 04 06 00 00 "c" }', malformed, 4),
  connect('CONNECT with a will topic and no payload', '10 { "MQTT" 04 06 00 00 "c" "w" }', malformed, 4),
  connect('3.1.1: user name flag and no user name', '10 { "MQTT" 04 82 00 00 "c" }', malformed, 4),
  connect('CONNECT with bytes after its end', '10 { "MQTT" 04 02 00 00 "c" 00 }', malformed, 4),
  connect('3.1: bytes after the end', '10 { "MQIsdp" 03 02 00 00 "c" 00 }', malformed, 3),
  connect('[MQTT-1.5.4-1] client identifier that is not UTF-8', '10 { "MQTT" 05 02 00 00 00 <ff> }', malformed, 5),
  connect('[MQTT-1.5.4-1] client identifier with a surrogate', '10 { "MQTT" 05 02 00 00 00 <ed a0 80> }', malformed, 5),
  connect('[MQTT-1.5.4-2] client identifier with U+0000', '10 { "MQTT" 05 02 00 00 00 <61 00> }', malformed, 5),
  connect('[MQTT-3.1.3-11] will topic that is not UTF-8', '10 { "MQTT" 04 06 00 00 "c" <c0 80> <> }', malformed, 4),
  connect('[MQTT-3.1.3-12] user name that is not UTF-8', '10 { "MQTT" 04 82 00 00 "c" <80> }', malformed, 4),
  connect('Session Expiry Interval twice', '10 { "MQTT" 05 02 00 00 { 11 00 00 00 01 11 00 00 00 01 } "" }', protocol, 5),
  connect('Receive Maximum 0', '10 { "MQTT" 05 02 00 00 { 21 00 00 } "" }', protocol, 5),
  connect('Receive Maximum twice', '10 { "MQTT" 05 02 00 00 { 21 00 01 21 00 01 } "" }', protocol, 5),
  connect('Maximum Packet Size 0', '10 { "MQTT" 05 02 00 00 { 27 00 00 00 00 } "" }', protocol, 5),
  connect('Topic Alias Maximum twice', '10 { "MQTT" 05 02 00 00 { 22 00 01 22 00 02 } "" }', protocol, 5),
  connect('Request Response Information 2', '10 { "MQTT" 05 02 00 00 { 19 02 } "" }', protocol, 5),
  connect('Request Problem Information 2', '10 { "MQTT" 05 02 00 00 { 17 02 } "" }', protocol, 5),
  connect('Authentication Method twice', '10 { "MQTT" 05 02 00 00 { 15 "a" 15 "a" } "" }', protocol, 5),
  connect('Authentication Data without a method', '10 { "MQTT" 05 02 00 00 { 16 <01> } "" }', protocol, 5),
  connect('a property of CONNACK', '10 { "MQTT" 05 02 00 00 { 24 01 } "" }', malformed, 5),
  connect('a property that does not exist', '10 { "MQTT" 05 02 00 00 { 7f 01 } "" }', malformed, 5),
  connect('a property identifier of two bytes', '10 { "MQTT" 05 02 00 00 { 80 01 01 } "" }', malformed, 5),
  connect('[MQTT-1.5.5-1] a property identifier with a needless byte', '10 { "MQTT" 05 02 00 00 { 91 00 00 00 00 01 } "" }', malformed, 5),
  connect('a property cut by the length of the properties', '10 { "MQTT" 05 02 00 00 03 11 00 00 00 01 "" }', malformed, 5),
  connect('a length of properties beyond the packet', '10 { "MQTT" 05 02 00 00 7f 11 00 00 00 01 "" }', malformed, 5),
  connect('a length of properties of five bytes', '10 { "MQTT" 05 02 00 00 ff ff ff ff 01 "" }', malformed, 5),
  connect('CONNECT 5 without properties', '10 { "MQTT" 05 02 00 00 }', malformed, 5),
  connect('[MQTT-1.5.7-1] a user property that is not UTF-8', '10 { "MQTT" 05 02 00 00 { 26 "a" <ff> } "" }', malformed, 5),
  connect('Will Delay Interval twice', '10 { "MQTT" 05 06 00 00 00 "" { 18 00 00 00 01 18 00 00 00 01 } "w" <> }', protocol, 5),
  connect('Topic Alias in a will', '10 { "MQTT" 05 06 00 00 00 "" { 23 00 01 } "w" <> }', malformed, 5),
  connect('Payload Format Indicator 2 in a will', '10 { "MQTT" 05 06 00 00 00 "" { 01 02 } "w" <> }', protocol, 5),
  connect('a length that is longer than four bytes', '10 ff ff ff ff 01', malformed),
];

const everyVersion: readonly Version[] = [3, 4, 5];
const reservedFlags: readonly Version[] = [4, 5];

const framing: readonly BadCase[] = [
  ...all(everyVersion, 'type 0', '00 00', malformed),
  ...all(everyVersion, '[MQTT-3.1.0-2] a second CONNECT', '10 { "MQTT" 04 02 00 00 "c" }', protocol),
  ...all(everyVersion, 'a packet that only a server sends: CONNACK', '20 { 00 00 }', protocol),
  ...all(everyVersion, 'a packet that only a server sends: SUBACK', '90 { 00 01 00 }', protocol),
  ...all(everyVersion, 'a packet that only a server sends: UNSUBACK', 'b0 { 00 01 }', protocol),
  ...all(everyVersion, 'a packet that only a server sends: PINGRESP', 'd0 00', protocol),
  ...all([3, 4], 'AUTH before version 5', 'f0 00', malformed),
  ...all(reservedFlags, '[MQTT-2.1.3-1] PUBACK with flags', '41 { 00 01 }', malformed),
  ...all(reservedFlags, '[MQTT-2.1.3-1] PUBREC with flags', '52 { 00 01 }', malformed),
  ...all(reservedFlags, '[MQTT-3.6.1-1] PUBREL without its flag', '60 { 00 01 }', malformed),
  ...all(reservedFlags, '[MQTT-2.1.3-1] PUBCOMP with flags', '72 { 00 01 }', malformed),
  ...all(reservedFlags, '[MQTT-3.8.1-1] SUBSCRIBE without its flag', '80 { 00 01 "a" 00 }', malformed),
  ...all(reservedFlags, '[MQTT-3.8.1-1] SUBSCRIBE with other flags', '83 { 00 01 "a" 00 }', malformed),
  ...all(reservedFlags, '[MQTT-3.10.1-1] UNSUBSCRIBE without its flag', 'a0 { 00 01 "a" }', malformed),
  ...all(reservedFlags, '[MQTT-2.1.3-1] PINGREQ with flags', 'c1 00', malformed),
  ...all(reservedFlags, '[MQTT-3.14.1-1] DISCONNECT with flags', 'e8 00', malformed),
  client(5, '[MQTT-3.15.1-1] AUTH with flags', 'f1 00', malformed),
  ...all(everyVersion, '[MQTT-3.3.1-4] PUBLISH with QoS 3', '36 { "t" 00 01 }', malformed),
  ...all(reservedFlags, '[MQTT-3.3.1-2] PUBLISH with DUP at QoS 0', '38 { "t" }', malformed),
  ...all(everyVersion, 'a length that is longer than four bytes', '30 80 80 80 80 01', malformed),
  client(5, '[MQTT-1.5.5-1] a length with a needless byte', `30 86 00 "t" 00 'hi'`, malformed),
  ...all(everyVersion, 'PINGREQ with a body', 'c0 01 00', malformed),
  ...all([3, 4], 'DISCONNECT with a body', 'e0 01 00', malformed),
];

const publishes: readonly BadCase[] = [
  ...all(everyVersion, 'empty PUBLISH', '30 00', malformed),
  ...all(everyVersion, 'PUBLISH with half a length', '30 { 00 }', malformed),
  ...all(everyVersion, 'PUBLISH that ends within its topic', `30 { 00 04 'abc' }`, malformed),
  ...all(everyVersion, 'PUBLISH that ends within its identifier', '32 { "t" 00 }', malformed),
  ...all(everyVersion, '[MQTT-2.2.1-3] PUBLISH with identifier 0', '32 { "t" 00 00 00 }', protocol),
  ...all([3, 4], '[MQTT-4.7.3-1] PUBLISH without a topic', '30 { "" }', ReasonCode.topicNameInvalid),
  client(5, 'PUBLISH without a topic and an alias', '30 { "" 00 }', protocol),
  client(5, 'PUBLISH with properties, without a topic and an alias', '30 { "" { 01 00 } }', protocol),
  client(5, 'PUBLISH without properties', '30 { "t" }', malformed),
  client(5, 'PUBLISH whose properties reach beyond it', '30 { "t" 05 23 00 01 }', malformed),
  client(5, 'PUBLISH whose alias is cut', '30 { "t" 03 23 00 }', malformed),
  client(5, '[MQTT-3.3.2-8] Topic Alias 0', '30 { "t" { 23 00 00 } }', protocol),
  client(5, '[MQTT-3.3.2-8] Topic Alias 0 among others', '30 { "t" { 01 00 23 00 00 } }', protocol),
  client(5, 'Topic Alias twice', '30 { "t" { 23 00 01 23 00 01 } }', protocol),
  client(5, '[MQTT-3.3.4-6] Subscription Identifier from a client', '30 { "t" { 0b 01 } }', protocol),
  client(5, 'Payload Format Indicator twice', '30 { "t" { 01 01 01 01 } }', protocol),
  client(5, 'Payload Format Indicator 2', '30 { "t" { 01 02 } }', protocol),
  client(5, 'Message Expiry Interval twice', '30 { "t" { 02 00 00 00 01 02 00 00 00 01 } }', protocol),
  client(5, 'Content Type twice', '30 { "t" { 03 "a" 03 "a" } }', protocol),
  client(5, 'Response Topic twice', '30 { "t" { 08 "a" 08 "a" } }', protocol),
  client(5, 'Correlation Data twice', '30 { "t" { 09 <> 09 <> } }', protocol),
  client(5, '[MQTT-3.3.2-14] Response Topic with a wildcard', '30 { "t" { 08 "a/+" } }', protocol),
  client(5, '[MQTT-3.3.2-13] Response Topic that is not UTF-8', '30 { "t" { 08 <ff> } }', malformed),
  client(5, '[MQTT-3.3.2-19] Content Type with U+0000', '30 { "t" { 03 <00> } }', malformed),
  client(5, 'a property of CONNECT in PUBLISH', '30 { "t" { 11 00 00 00 01 } }', malformed),
  client(5, 'Reason String in PUBLISH', '30 { "t" { 1f "a" } }', malformed),
];

const acks: readonly BadCase[] = [
  ...['40', '50', '62', '70'].flatMap((first) => [
    ...all(everyVersion, `acknowledgement ${first} that is empty`, `${first} 00`, malformed),
    ...all(everyVersion, `acknowledgement ${first} with half an identifier`, `${first} { 01 }`, malformed),
    ...all(everyVersion, `[MQTT-2.2.1-3] acknowledgement ${first} with identifier 0`, `${first} { 00 00 }`, protocol),
    ...all([3, 4], `acknowledgement ${first} with a reason`, `${first} { 00 01 00 }`, malformed),
    client(5, `acknowledgement ${first} with a reason of another packet`, `${first} { 00 01 8e }`, protocol),
    client(5, `acknowledgement ${first} with a property of another packet`, `${first} { 00 01 00 { 01 01 } }`, malformed),
    client(5, `acknowledgement ${first} with two reason strings`, `${first} { 00 01 00 { 1f "a" 1f "b" } }`, protocol),
    client(5, `acknowledgement ${first} with bytes after its end`, `${first} { 00 01 00 00 00 }`, malformed),
  ]),
  client(5, '[MQTT-3.4.2-1] PUBACK with a reason of PUBREL', '40 { 00 01 92 }', protocol),
  client(5, '[MQTT-3.6.2-1] PUBREL with a reason of PUBACK', '62 { 00 01 10 }', protocol),
];

const subscriptions: readonly BadCase[] = [
  ...all(everyVersion, 'empty SUBSCRIBE', '82 00', malformed),
  ...all([3, 4], '[MQTT-3.8.3-2] SUBSCRIBE without a filter', '82 { 00 01 }', protocol),
  client(5, '[MQTT-3.8.3-2] SUBSCRIBE without a filter', '82 { 00 01 00 }', protocol),
  ...all([3, 4], '[MQTT-2.2.1-3] SUBSCRIBE with identifier 0', '82 { 00 00 "a" 00 }', protocol),
  client(5, '[MQTT-2.2.1-3] SUBSCRIBE with identifier 0', '82 { 00 00 00 "a" 00 }', protocol),
  ...all([3, 4], 'SUBSCRIBE without options', '82 { 00 01 "a" }', malformed),
  client(5, 'SUBSCRIBE without options', '82 { 00 01 00 "a" }', malformed),
  ...all([3, 4], 'SUBSCRIBE with QoS 3', '82 { 00 01 "a" 03 }', malformed),
  client(5, 'SUBSCRIBE with QoS 3', '82 { 00 01 00 "a" 03 }', protocol),
  client(4, 'SUBSCRIBE with options of version 5', '82 { 00 01 "a" 04 }', malformed),
  client(5, '[MQTT-3.8.3-5] SUBSCRIBE with a reserved bit', '82 { 00 01 00 "a" 40 }', malformed),
  client(5, 'SUBSCRIBE with retain handling 3', '82 { 00 01 00 "a" 30 }', protocol),
  client(5, '[MQTT-3.8.3-4] No Local on a shared subscription', '82 { 00 01 00 "$share/g/a" 04 }', protocol),
  client(5, 'SUBSCRIBE with identifier property 0', '82 { 00 01 { 0b 00 } "a" 00 }', protocol),
  client(5, 'SUBSCRIBE with two identifier properties', '82 { 00 01 { 0b 01 0b 02 } "a" 00 }', protocol),
  client(5, 'SUBSCRIBE with an identifier property of five bytes', '82 { 00 01 { 0b ff ff ff ff 01 } "a" 00 }', malformed),
  client(5, 'SUBSCRIBE with a reason string', '82 { 00 01 { 1f "a" } "a" 00 }', malformed),
  client(4, '[MQTT-3.8.3-1] SUBSCRIBE with a filter that is not UTF-8', '82 { 00 01 <e2 82> 00 }', malformed),
  ...all(everyVersion, 'empty UNSUBSCRIBE', 'a2 00', malformed),
  ...all([3, 4], '[MQTT-3.10.3-2] UNSUBSCRIBE without a filter', 'a2 { 00 01 }', protocol),
  client(5, '[MQTT-3.10.3-2] UNSUBSCRIBE without a filter', 'a2 { 00 01 00 }', protocol),
  client(4, '[MQTT-2.2.1-3] UNSUBSCRIBE with identifier 0', 'a2 { 00 00 "a" }', protocol),
  client(4, '[MQTT-3.10.3-1] UNSUBSCRIBE with a filter that is not UTF-8', 'a2 { 00 01 <f5 80 80 80> }', malformed),
  client(4, 'UNSUBSCRIBE that ends within a filter', `a2 { 00 01 00 05 'abc' }`, malformed),
  client(5, 'UNSUBSCRIBE with a subscription identifier', 'a2 { 00 01 { 0b 01 } "a" }', malformed),
];

const others: readonly BadCase[] = [
  client(5, '[MQTT-3.14.2-1] DISCONNECT of a client with a reason of servers', 'e0 { 8b }', protocol),
  client(5, 'DISCONNECT of a client with an unknown reason', 'e0 { 05 }', protocol),
  client(5, 'DISCONNECT with two session expiries', 'e0 { 00 { 11 00 00 00 01 11 00 00 00 01 } }', protocol),
  client(5, 'DISCONNECT with bytes after its end', 'e0 { 00 00 00 }', malformed),
  server(5, '[MQTT-3.14.2-1] DISCONNECT of a server with a reason of clients', 'e0 { 04 }', protocol),
  server(5, '[MQTT-3.14.2-2] DISCONNECT of a server with a session expiry', 'e0 { 8b { 11 00 00 00 01 } }', protocol),
  client(5, '[MQTT-3.15.2-1] AUTH of a client with a reason of servers', 'f0 { 00 { 15 "M" } }', protocol),
  client(5, 'AUTH of a client that is empty', 'f0 00', protocol),
  client(5, 'AUTH without properties', 'f0 { 18 00 }', protocol),
  client(5, 'AUTH without a method', 'f0 { 18 { 1f "r" } }', protocol),
  client(5, 'AUTH with data and no method', 'f0 { 18 { 16 <01> } }', protocol),
  client(5, 'AUTH with bytes after its end', 'f0 { 18 { 15 "M" } 00 }', malformed),
  server(4, 'SUBACK with an unknown code', '90 { 00 01 03 }', protocol),
  server(4, 'SUBACK without codes', '90 { 00 01 }', malformed),
  server(5, 'SUBACK with a code of another packet', '90 { 00 01 00 8e }', protocol),
  server(4, 'UNSUBACK with codes', 'b0 { 00 01 00 }', malformed),
  server(5, 'UNSUBACK with a code of another packet', 'b0 { 00 01 00 01 }', protocol),
  server(4, 'a packet that only a client sends: SUBSCRIBE', '82 { 00 01 "a" 00 }', protocol),
  server(5, 'a second CONNACK', '20 { 00 00 00 }', protocol),
];

const connacks: readonly BadCase[] = [
  ['CONNACK with reserved flags', 4, '20 { 02 00 }', malformed],
  ['[MQTT-3.2.2-6] CONNACK with a session and a refusal', 5, '20 { 01 87 00 }', protocol],
  ['CONNACK with return code 6', 4, '20 { 00 06 }', protocol],
  ['CONNACK that is too short', 4, '20 { 00 }', malformed],
  ['CONNACK with a reason of another packet', 5, '20 { 00 8e 00 }', protocol],
  ['CONNACK with Maximum QoS 2', 5, '20 { 00 00 { 24 02 } }', protocol],
  ['CONNACK with Receive Maximum 0', 5, '20 { 00 00 { 21 00 00 } }', protocol],
  ['CONNACK with Retain Available 2', 5, '20 { 00 00 { 25 02 } }', protocol],
  ['CONNACK with Shared Subscription Available 2', 5, '20 { 00 00 { 2a 02 } }', protocol],
  ['PUBLISH before CONNACK', 5, '30 { "t" 00 }', protocol],
].map(([name, level, bytes, reason]) => ({
  name: name as string,
  from: 'server',
  version: level as Version,
  when: 'first',
  bytes: bytes as string,
  reason: reason as ReasonCode,
}));

export const badCases: readonly BadCase[] = [...connects, ...framing, ...publishes, ...acks, ...subscriptions, ...others, ...connacks];
