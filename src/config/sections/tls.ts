import { choice, list, optional, section, text } from '../fields.ts';
import { clientCertificatePolicies } from './listeners.ts';

const certificate = section(
  {
    certificateFile: text({ example: '/etc/heliograph/server.pem' }, 'PEM: the certificate and its chain.'),
    privateKeyFile: text({ example: '/etc/heliograph/server.key' }, 'PEM: the private key, readable by this process only.'),
    serverNames: list(
      text({ maxLength: 255 }, 'A host name, or one such as *.example.com.'),
      { max: 100, live: true },
      'Host names (SNI) that get this certificate. Empty: the names in the certificate.',
    ),
  },
  'A certificate with its key.',
);

export const tlsSection = section(
  {
    minVersion: choice(
      ['1.2', '1.3'],
      { default: '1.3', live: true },
      'Oldest version of TLS that is accepted; older ones than 1.2 never are.',
    ),
    profile: choice(
      ['default', 'cnsa', 'fips'],
      { default: 'default', live: true },
      'What may be agreed on: cnsa and fips limit it to the algorithms of these standards (docs/security.md). fips also wants a start with OpenSSL in FIPS mode.',
    ),
    groups: optional(
      list(
        text({ pattern: '^[A-Za-z0-9-]+$', shape: 'a name of OpenSSL', maxLength: 64 }, 'A group.'),
        { min: 1, max: 16, live: true, example: ['X25519MLKEM768', 'X25519', 'P-256', 'P-384'] },
        'Groups of the key exchange, the most wanted first. Those of the profile when absent; by default X25519MLKEM768, which also a quantum computer does not break, then X25519, P-256, P-384.',
      ),
    ),
    certificates: list(
      certificate,
      { max: 100, live: true },
      'Server certificates; the first is for clients that name no host. Empty: one is issued by a CA that is generated at first start (see dataDir/pki).',
    ),
    serverNames: list(
      text({ maxLength: 255 }, 'A host name, also *.example.com, or an address.'),
      { max: 100, live: true },
      'Names and addresses that the issued certificate holds besides localhost and the name of the machine.',
    ),
    clientCertificate: choice(
      [...clientCertificatePolicies],
      { default: 'request', live: true },
      'Whether clients need a certificate: none is asked for, it is checked when a client has one (request), every client needs one (require).',
    ),
    clientCaFile: optional(
      text({ live: true, example: '/etc/heliograph/devices-ca.pem' }, 'PEM: who may issue client certificates. Absent: the generated CA.'),
    ),
  },
  'Certificates. Files are read again on SIGHUP.',
);
