import { choice, count, flag, milliseconds, section } from '../fields.ts';

export const enrolmentSection = section(
  {
    overMqtt: choice(
      ['off', 'certificate', 'any'],
      { default: 'certificate', live: true },
      'Who may ask for a certificate for itself on $enrol/<id>/request: nobody (off), who is connected by a certificate and so renews it (certificate), everybody who has proved who it is (any).',
    ),
    serverKeyGeneration: flag(
      { default: false, live: true },
      'true: devices that cannot make a key may have one made here (EST serverkeygen). It is kept nowhere, but it travels.',
    ),
    keyAlgorithm: choice(
      ['ecdsa-p256', 'ecdsa-p384', 'ed25519'],
      { default: 'ecdsa-p256', live: true },
      'The kind of key that devices are asked for (EST csrattrs). Others are taken too.',
    ),
    certificatesPerHour: count(
      { default: 20, min: 1, max: 1_000_000, live: true },
      'Certificates that one device, application or user may be given in an hour.',
    ),
    maxInFlight: count(
      { default: 32, min: 1, max: 10_000, live: true },
      'Certificates that are issued at a time; who comes then is told to come later.',
    ),
    connectionMs: milliseconds(
      { default: 60_000, min: 1000, max: 600_000, live: true },
      'How long a connection to a listener of kind est lasts, whatever happens on it.',
    ),
  },
  'How devices come to certificates by themselves. Wrong tokens count as failures of an address in security.limits.',
);
