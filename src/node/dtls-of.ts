// What a listener of DTLS is given: the certificates, keys and rules of TLS, with certificate paths that are checked here.

import { X509Certificate } from 'node:crypto';
import type { Config, ListenerConfig } from '../config.ts';
import { defaultDtlsLimits } from '../net/dtls/limits.ts';
import type { DtlsListenerSettings } from '../net/dtls-settings.ts';
import { PathValidator } from '../security/pki/path/path-validator.ts';
import { tlsSettings } from './options.ts';
import type { Rooms } from './rooms.ts';

export function dtlsListenerSettings(rooms: Rooms, config: Config, name: string, settings: ListenerConfig): DtlsListenerSettings {
  const { keystore, security, revocation } = rooms;
  const { certificates, profile, clientCertificate, describeCertificate, psk } = tlsSettings(config, settings, keystore.material, security);
  const validator = new PathValidator(derOf(keystore.material.clientAuthorities));
  const { maxPeers: sessions, maxDatagramBytes: mtu } = config.datagrams;
  return {
    certificates,
    ...(profile !== undefined && { profile }),
    clientCertificate,
    describeCertificate,
    verify: (chain, nowMs) => validator.validate(chain, nowMs),
    clientAuthorities: validator.names,
    ...(revocation && { guard: revocation.admission }),
    ...(psk && { psk }),
    pskHint: psk?.hint ?? '',
    rawPublicKeys: security.accepts(name).includes('raw-public-key'),
    limits: { ...defaultDtlsLimits, sessions, mtu },
  };
}

function derOf(pem: string): Uint8Array[] {
  const found = pem.match(/-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g) ?? [];
  return found.map((text) => new X509Certificate(text).raw);
}
