// What a listener of DTLS is given: the certificates, keys and rules of TLS, with certificate paths that are checked here.

import { X509Certificate } from 'node:crypto';
import type { Config, ListenerConfig } from '../config.ts';
import { defaultDtlsLimits, type DtlsLimits } from '../net/dtls/limits.ts';
import type { DtlsListenerSettings } from '../net/dtls-settings.ts';
import { PathValidator } from '../security/pki/path/path-validator.ts';
import { tlsSettings } from './options.ts';
import type { Rooms } from './rooms.ts';

export function dtlsListenerSettings(rooms: Rooms, config: Config, name: string, settings: ListenerConfig): DtlsListenerSettings {
  const { keystore, security, revocation } = rooms;
  const { certificates, profile, clientCertificate, describeCertificate, psk } = tlsSettings(config, settings, keystore.material, security);
  const validator = new PathValidator(derOf(keystore.material.clientAuthorities));
  return {
    certificates,
    ...(profile !== undefined && { profile }),
    clientCertificate,
    describeCertificate,
    verify: (chain, nowMs) => validator.validate(chain, nowMs),
    clientAuthorities: validator.names,
    ...(revocation && { guard: revocation.admission }),
    ...(psk && { psk: { keyOf: (identity) => security.pskKeyLater(identity), refused: (origin) => security.pskRefused(origin) } }),
    pskHint: psk?.hint ?? '',
    rawPublicKeys: security.accepts(name).includes('raw-public-key'),
    connectionIds: config.dtls.connectionIds,
    ccm8: config.dtls.ccm8,
    requireExtendedMasterSecret: config.dtls.requireExtendedMasterSecret,
    limits: dtlsLimits(config),
  };
}

/** How many retransmissions double the time. */
const backOff = 16;

function dtlsLimits({ datagrams, dtls }: Config): DtlsLimits {
  return {
    ...defaultDtlsLimits,
    pendingHandshakes: dtls.maxPendingHandshakes,
    pendingPerHost: dtls.maxPendingHandshakesPerAddress,
    handshakesPerHostAndSecond: dtls.handshakesPerSecondPerAddress || Infinity,
    handshakeBytes: dtls.maxHandshakeBytes,
    allHandshakeBytes: dtls.maxAllHandshakeBytes,
    handshakeMs: dtls.handshakeTimeoutMs,
    retransmitMs: dtls.retransmitMs,
    retransmitMaxMs: dtls.retransmitMs * backOff,
    // Where there are too many an idle one makes room for who has just proved who it is, so some more must be able to begin.
    sessions: datagrams.maxPeers + dtls.maxPendingHandshakes,
    sessionsPerPeer: dtls.maxSessionsPerPeer,
    idleMs: dtls.idleMs,
    idleWithCidMs: dtls.idleWithConnectionIdMs,
    mtu: datagrams.maxDatagramBytes,
    resumptions: dtls.resumptions,
    resumptionMs: dtls.resumptionMs,
  };
}

function derOf(pem: string): Uint8Array[] {
  const found = pem.match(/-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g) ?? [];
  return found.map((text) => new X509Certificate(text).raw);
}
