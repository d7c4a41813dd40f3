import { bytes, count, flag, milliseconds, section } from '../fields.ts';

const KiB = 1024;
const hourMs = 3_600_000;
const dayMs = 24 * hourMs;

export const dtlsSection = section(
  {
    maxPendingHandshakes: count(
      { default: 10_000, min: 1, max: 1_000_000, live: true },
      'Handshakes of a listener under way whose client has shown that it receives at its address; further ones are dropped, and try again.',
    ),
    maxPendingHandshakesPerAddress: count(
      { default: 1000, min: 1, max: 1_000_000, live: true },
      'The same for one IPv4 address or one IPv6 /64 (many devices may share the address of a gateway).',
    ),
    handshakesPerSecondPerAddress: count(
      { default: 500, min: 0, max: 1_000_000, live: true },
      'Handshakes that one IPv4 address or one IPv6 /64 may begin in a second; further ones are dropped, and try again. Each costs up to a millisecond. 0: no bound.',
    ),
    maxHandshakeBytes: bytes(
      { default: 64 * KiB, min: 20 * KiB, max: 1024 * KiB, live: true },
      'What one handshake may make the node keep: messages, fragments, records that came too early.',
    ),
    maxAllHandshakeBytes: bytes(
      { default: 128 * KiB * KiB, min: 1024 * KiB, max: 65_536 * KiB * KiB, live: true },
      'What all handshakes of a listener may make the node keep; where it is more, none may keep more than 8 KiB.',
    ),
    handshakeTimeoutMs: milliseconds(
      { default: 60_000, min: 1000, max: 600_000, live: true },
      'From the first hello with a cookie to the end of the handshake.',
    ),
    retransmitMs: milliseconds(
      { default: 1000, min: 100, max: 60_000, live: true },
      'Silence after which messages of the handshake are sent again; doubles each time, up to 16 times.',
    ),
    maxSessionsPerPeer: count(
      { default: 1000, min: 1, max: 10_000_000, live: true },
      'Open sessions of a listener with one identity, or of one address without identity; beyond, the oldest is closed.',
    ),
    idleMs: milliseconds(
      { default: hourMs, min: 1000, max: 365 * dayMs, live: true },
      'Silence after which a session without Connection ID ends.',
    ),
    idleWithConnectionIdMs: milliseconds(
      { default: dayMs, min: 1000, max: 365 * dayMs, live: true },
      'The same with a Connection ID: the device may sleep for long, and come back from another address.',
    ),
    connectionIds: flag({ default: true, live: true }, 'Devices that ask for a Connection ID (RFC 9146) get one.'),
    ccm8: flag(
      { default: true, live: true },
      'Cipher suites with tags of 8 bytes (CCM_8), which CoAP asks of every device (RFC 7252 §9.1.3). false: only those with tags of 16 bytes, where all devices know one.',
    ),
    requireExtendedMasterSecret: flag(
      { default: true, live: true },
      'Devices must know the Extended Master Secret (RFC 7627). false: old ones that do not are taken, too; their sessions are not resumed.',
    ),
    resumptions: count(
      { default: 20_000, min: 0, max: 10_000_000, live: true },
      'Sessions of a listener that may be resumed, besides those that are open. 0: none.',
    ),
    resumptionMs: milliseconds(
      { default: dayMs, min: 1000, max: 30 * dayMs, live: true },
      'How long after its full handshake a session may be resumed.',
    ),
  },
  'Sessions of DTLS. How many there may be says datagrams.maxPeers; certificates, keys and profile are those of tls.',
);
