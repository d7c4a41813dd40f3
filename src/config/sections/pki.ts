import { bytes, choice, count, flag, optional, section, text } from '../fields.ts';

/** A profile's defaults: days of a certificate that nobody asked a length for, and the most that can be asked for. */
function profile(who: string, days: number, maxDays: number) {
  return section(
    {
      validityDays: count(
        { default: days, min: 1, max: 3650, live: true },
        `Days that a certificate of ${who} is valid, unless another length is asked for.`,
      ),
      maxValidityDays: count({ default: maxDays, min: 1, max: 3650, live: true }, 'Most days that can be asked for; more is shortened.'),
      allowRsa: flag({ default: true, live: true }, 'Whether its key may be RSA (2048 to 4096 bits) instead of an elliptic curve.'),
    },
    `Certificates of ${who}.`,
  );
}

const pkcs11 = section(
  {
    module: optional(text({ example: '/usr/lib/softhsm/libsofthsm2.so' }, 'The library of the HSM (PKCS #11). Absent: there is none.')),
    slot: optional(count({ min: 0, max: 0x7fff_ffff }, 'Number of the slot, in the order the library tells them. Absent: by tokenLabel.')),
    tokenLabel: optional(text({ maxLength: 32, example: 'heliograph' }, 'Label of the token. Absent: by slot.')),
    pinFile: optional(text({ example: '/etc/heliograph/hsm.pin' }, 'A file, readable by this process only, that holds the PIN.')),
    keyLabel: text({ default: 'heliograph-ca', maxLength: 64 }, 'Label of the keys that are made in the HSM.'),
  },
  'An HSM that makes and keeps the keys of the authorities. It wants the package pkcs11js, which is not installed with Heliograph.',
);

export const pkiSection = section(
  {
    algorithm: choice(
      ['ecdsa-p256', 'ecdsa-p384', 'ed25519'],
      { default: 'ecdsa-p256' },
      'Of the keys that are made for authorities. Not every TLS client takes ed25519.',
    ),
    passphraseFile: optional(
      text(
        { example: '/run/secrets/heliograph-passphrase' },
        'A file, readable by this process only, that holds the passphrase which protects private keys and sealed secrets. The environment variable HELIOGRAPH_CA_PASSPHRASE does the same. Without either, keyFile does.',
      ),
    ),
    keyFile: optional(
      text(
        { example: '/etc/heliograph/seal.key' },
        'A file that holds a random key in place of a passphrase. Absent: pki/seal.key in the data directory, made at the first start. There it protects nothing from who can read the whole data directory: move it elsewhere, and out of its backups.',
      ),
    ),
    publicUrl: optional(
      text(
        {
          maxLength: 512,
          pattern: '^http://[^\\s]+[^/\\s]$',
          shape: 'http://host or http://host:port, without / at the end',
          example: 'http://pki.example.com',
        },
        'Where the listener of kind pki is reached. It is written into certificates, so that others find out what was revoked.',
      ),
    ),
    rootValidityDays: count({ default: 7300, min: 30, max: 14_600 }, 'Days that a new root is valid.'),
    issuingValidityDays: count({ default: 1825, min: 7, max: 7300 }, 'Days that a new issuing authority is valid.'),
    maxRequestBytes: bytes({ default: 16_384, min: 1024, max: 1_048_576, live: true }, 'Largest certificate request (PKCS #10).'),
    profiles: section(
      {
        device: profile('devices', 30, 825),
        application: profile('applications', 90, 825),
        user: profile('users', 90, 825),
      },
      'What certificates hold, by whose they are.',
    ),
    pkcs11,
  },
  'The built-in certificate authority.',
);
