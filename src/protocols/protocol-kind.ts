// What a protocol tells the node of itself. The node builds everything else from it: the section of the configuration, the kinds of
// listener and those that are open by default, what WebSocket clients may ask for, metrics, the reload, the reference of settings.
// So adding a protocol is one folder and one line in registry.ts.

import type { Clock } from '../base/clock.ts';
import type { Log } from '../base/log.ts';
import type { MetricSource } from '../base/metrics.ts';
import type { Random } from '../base/random.ts';
import type { Timers } from '../base/timers.ts';
import type { BrokerPort } from '../broker/port.ts';
import type { SettingsOf, SettingsSection } from '../config/fields.ts';
import type { OscoreContexts } from '../security/oscore/oscore.ts';
import type { EstDoor } from '../security/pki/enrolment/est-door.ts';
import type { Method, Security } from '../security/security.ts';
import type { DatagramProtocol } from './datagram.ts';
import type { HttpHandler } from './http-exchange.ts';
import type { ManagementDesk } from './management-desk.ts';
import type { Protocol } from './protocol.ts';
import type { Trace } from './trace.ts';

/** How bytes come to a protocol. Those below TLS or DTLS have a counterpart in plain text, see `securedBy`. */
export type WireKind = 'tcp' | 'tls' | 'ws' | 'wss' | 'udp' | 'dtls' | 'http' | 'https';

/** The secure wire that takes the place of one in plain text. */
export const securedBy = { tcp: 'tls', ws: 'wss', udp: 'dtls', http: 'https' } as const satisfies Partial<Record<WireKind, WireKind>>;

export type ListenerKindSettings = {
  /** ws and wss are the node's own: a protocol joins them by `webSocket`. */
  readonly wire: Exclude<WireKind, 'ws' | 'wss'>;
  /** For people, in the configuration's reference and when the node starts: `MQTT over TCP`. */
  readonly description: string;
};

export type DefaultListener<Kind extends string> = {
  readonly kind: Kind;
  readonly host: string;
  readonly port: number;
  /** Closed unless the node is started with --dev, or the configuration says otherwise. */
  readonly devOnly?: true;
};

/** Settings of other rooms that protocols have to respect, as the configuration names them. */
export type SharedSettings = {
  readonly node: { readonly name: string };
  readonly broker: { readonly maxSessionExpirySec: number; readonly maxTopicLevels: number };
  readonly net: { readonly outputHighWaterBytes: number; readonly outputLowWaterBytes: number };
};

/** `broker.maxSessionExpirySec` when sessions may stay for ever. */
const forEverSec = 0xffff_ffff;

/** Longest life of a session without connection; Infinity: for ever. */
export function maxSessionExpiryMs({ broker }: SharedSettings): number {
  return broker.maxSessionExpirySec === forEverSec ? Infinity : broker.maxSessionExpirySec * 1000;
}

/** The turn of the event loop, as the broker knows it. */
export type ProtocolTurn = {
  /** Runs `task` once when the current turn ends, before outputs are flushed. */
  atEnd(task: () => void): void;
};

/** What a protocol is made with. Each takes what it needs. */
export type ProtocolParts = {
  readonly broker: BrokerPort;
  readonly security: Security;
  readonly oscore: OscoreContexts;
  /** How devices come to certificates. */
  readonly enrolment: EstDoor;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  readonly turn: ProtocolTurn;
  /** On the monotonic clock. Not for what every message needs. */
  readonly timers: Timers;
  readonly trace: Trace;
  /** By what peers of a listener may prove who they are now; `anonymous` only where somebody is welcome who shows nothing. */
  readonly accepts: (listener: string) => readonly Method[];
  /** For peers that want to know whom they talk to. */
  readonly product: { readonly name: string; readonly version: string };
  readonly desk: ManagementDesk;
};

/** A protocol that serves: on each of its wires by what fits it. */
export type RunningProtocol = MetricSource & {
  /** Over TCP, TLS and WebSocket. */
  readonly stream?: Protocol;
  /** Over UDP and DTLS. */
  readonly datagram?: DatagramProtocol;
  /** Over HTTP and HTTPS. */
  readonly requests?: HttpHandler;
};

export type SettingsProblem = { readonly path: string; readonly what: string; readonly fix: string };

export type ProtocolKind<
  Name extends string = string,
  Section extends SettingsSection = SettingsSection,
  Kind extends string = string,
  Options extends object = object,
> = {
  /** Of its section in the configuration; as it is exported from registry.ts. */
  readonly name: Name;
  /** For people: `MQTT`. */
  readonly title: string;
  readonly settings: Section;
  readonly listenerKinds: Readonly<Record<Kind, ListenerKindSettings>>;
  /** Those open without a configuration. Without TLS: on loopback only. */
  readonly listeners: Readonly<Record<string, DefaultListener<NoInfer<Kind>>>>;
  /** Absent: it is not spoken over WebSocket. By which subprotocols it is asked for says its `stream`. */
  readonly webSocket?: {
    /** Paths of the URL that its clients use, besides `/`. */
    readonly paths: readonly string[];
    /** The most that a client may put into one WebSocket message. */
    maxMessageBytes(settings: SettingsOf<NoInfer<Section>>): number;
  };
  /** Settings of which the first must not be above the second, as paths (`net.outputHighWaterBytes`), and why. */
  readonly ordered?: readonly (readonly [lower: string, upper: string, why: string])[];
  /** Names of settings of its section that must be powers of two. */
  readonly powersOfTwo?: readonly string[];
  /** What else must hold. */
  problems?(settings: SettingsOf<NoInfer<Section>>): Iterable<SettingsProblem>;
  /** Called again when the configuration changes while running: the object that `create` was given gets these values. */
  options(settings: SettingsOf<NoInfer<Section>>, shared: SharedSettings): Options;
  /** @throws UserError when the options do not fit together */
  create(parts: ProtocolParts, options: NoInfer<Options>): RunningProtocol;
};

/** Keeps the types of what a protocol says of itself. */
export function protocolKind<const Name extends string, Section extends SettingsSection, Kind extends string, Options extends object>(
  kind: ProtocolKind<Name, Section, Kind, Options>,
): ProtocolKind<Name, Section, Kind, Options> {
  return kind;
}
