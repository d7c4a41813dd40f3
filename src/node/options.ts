// The configuration in the shape that each room asks for. Settings that several rooms share stand in it once.

import type { BrokerLimits, QueueSetting } from '../broker/limits.ts';
import type { Config, ListenerConfig } from '../config.ts';
import { webSocketPaths } from '../config/listener-kinds.ts';
import { readPolicyFiles } from '../config/policy-files.ts';
import { protocolKinds, settingsOf } from '../config/protocol-kinds.ts';
import type { AcceptLimits } from '../net/accept-limits.ts';
import type { DatagramLimits } from '../net/datagram-limits.ts';
import type { HttpLimits } from '../net/http-protocol.ts';
import type { TlsSettings } from '../net/tls.ts';
import { localOrigins } from '../net/web-origin.ts';
import type { WebSocketSettings } from '../net/websocket.ts';
import { adminRole } from '../security/policy/management-resources.ts';
import type { SecurityPolicy } from '../security/create-security.ts';
import type { PskKeys } from '../security/authentication/psk.ts';
import type { Method } from '../security/security.ts';
import { describeCertificate } from '../security/peer-certificate.ts';
import type { DeskLimits } from '../security/pki/enrolment/enrolment-desk.ts';
import type { EstOptions } from '../security/pki/enrolment/est.ts';
import type { TlsMaterial } from '../security/pki/keystore.ts';

/** MQTT's word for "for ever". */
const forEverSec = 0xffff_ffff;

export function brokerLimits({ broker, queues }: Config): BrokerLimits {
  const { maxSessionExpirySec, ...rest } = broker;
  return {
    ...rest,
    queues: queues.map((each) => queueSetting(each)),
    maxSessionExpiryMs: maxSessionExpirySec === forEverSec ? Infinity : maxSessionExpirySec * 1000,
  };
}

function queueSetting({ defaultExpirySec, ...rest }: Config['queues'][number]): QueueSetting {
  return { ...rest, ...(defaultExpirySec !== undefined && { defaultExpiryMs: defaultExpirySec * 1000 }) };
}

/** `dev`: whoever connects without credentials may do everything. @throws UserError when a policy file is broken */
export function securityPolicy({ security, listeners: all }: Config, dev: boolean): SecurityPolicy {
  const { users, rules, policyFiles, anonymous, certificates, auditLogins } = security;
  const { enabled, listeners, ...others } = anonymous;
  const open = enabled ? { ...others, ...(listeners.length === 0 ? {} : { listeners }) } : undefined;
  const orOpen = (methods: readonly Method[]): readonly Method[] =>
    dev && !methods.includes('anonymous') ? [...methods, 'anonymous'] : methods;
  return {
    users,
    rules,
    files: readPolicyFiles(policyFiles),
    certificates,
    auditLogins,
    anonymous: dev ? { ...others, roles: [adminRole] } : open,
    authentication: orOpen(security.authentication),
    listeners: Object.fromEntries(
      Object.entries(all).map(([name, { authentication }]) => [name, authentication && orOpen(authentication)]),
    ),
  };
}

export function acceptLimits({ net }: Config): AcceptLimits {
  const { outputHighWaterBytes: _, outputLowWaterBytes: __, ...limits } = net;
  return {
    ...limits,
    maxConnectionsPerAddress: limits.maxConnectionsPerAddress || Infinity,
    connectionsPerSecond: limits.connectionsPerSecond || Infinity,
  };
}

export function datagramLimits({ datagrams }: Config): DatagramLimits {
  return {
    ...datagrams,
    maxPeersPerAddress: datagrams.maxPeersPerAddress || Infinity,
    newPeersPerSecond: datagrams.newPeersPerSecond || Infinity,
  };
}

const pskHint = 'heliograph';

/** `keys`: where pre-shared keys are found, for listeners that accept them. */
export function tlsSettings({ tls }: Config, listener: ListenerConfig, material: TlsMaterial, keys: PskKeys): TlsSettings {
  const { minVersion, profile, groups } = tls;
  return {
    certificates: material.servers,
    minVersion,
    profile,
    ...(groups !== undefined && { groups }),
    ...(listener.psk && {
      psk: { hint: pskHint, keyOf: (identity) => keys.pskKey(identity), refused: (origin) => keys.pskRefused(origin) },
    }),
    clientCertificate: listener.clientCertificate ?? tls.clientCertificate,
    clientCas: [material.clientAuthorities],
    describeCertificate,
  };
}

/** A peer may send several packets or frames in one WebSocket message; the largest one always fits. */
const webSocketSlackBytes = 64 * 1024;

/** Where nobody needs credentials, any page in a browser on this machine could use it: only the machine's own pages may. */
export function webSocketSettings(config: Config, { paths, origins }: ListenerConfig, dev: boolean): WebSocketSettings {
  const largest = protocolKinds.flatMap(({ webSocket, ...kind }) => webSocket?.maxMessageBytes(settingsOf(kind, config)) ?? []);
  return {
    paths: paths ?? webSocketPaths,
    origins: origins ?? (dev || config.security.anonymous.enabled ? localOrigins : undefined),
    maxMessageBytes: Math.max(...largest) + webSocketSlackBytes,
  };
}

export function enrolmentLimits({ enrolment, pki, security }: Config): DeskLimits {
  const { maxInFlight, certificatesPerHour } = enrolment;
  const { failuresPerAddress: failures, forgiveFailureMs: forgiveMs, banMs, maxBanMs, failureEntries: entries } = security.limits;
  const lockout = { failures, forgiveMs, banMs, maxBanMs, entries };
  return { maxInFlight, maxRequestBytes: pki.maxRequestBytes, certificatesPerHour, lockout };
}

export function estOptions({ enrolment: { serverKeyGeneration, keyAlgorithm } }: Config): EstOptions {
  return { serverKeyGeneration, keyAlgorithm };
}

/** A device asks for a few things and leaves. */
const requestsOfOneConnection = 100;

/** Base64 with its line ends, or PEM, is half as large again as what it holds. */
export function estHttpLimits({ enrolment, pki }: Config): HttpLimits {
  return { maxBodyBytes: Math.ceil(pki.maxRequestBytes * 1.5), connectionMs: enrolment.connectionMs, maxRequests: requestsOfOneConnection };
}
