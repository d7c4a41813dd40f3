import { bytes, count, milliseconds, section } from '../fields.ts';

const KiB = 1024;
const MiB = 1024 * KiB;

export const datagramsSection = section(
  {
    maxPeers: count(
      { default: 100_000, min: 1, max: 10_000_000, live: true },
      'Most peers of a listener: source addresses over UDP, sessions over DTLS. An idle one makes room for a new one.',
    ),
    maxPeersPerAddress: count(
      { default: 0, min: 0, max: 10_000_000, live: true },
      'Most peers of a listener from one IPv4 address or one IPv6 /64. 0: no bound (many devices may share the address of a gateway).',
    ),
    newPeersPerSecond: count(
      { default: 10_000, min: 0, max: 10_000_000, live: true },
      'New peers of a listener a second, on average. Source addresses can be forged: this bounds what a flood of them costs. 0: no bound.',
    ),
    newPeerBurst: count({ default: 20_000, min: 1, max: 10_000_000, live: true }, 'How many may come at once before that rate counts.'),
    idleMs: milliseconds(
      { default: 300_000, min: 1000, max: 604_800_000, live: true },
      'Silence after which a peer over UDP is forgotten from whom nothing is waited for.',
    ),
    maxDatagramBytes: bytes(
      { default: 1152, min: 548, max: 65_000 },
      'What a datagram may have that is sure to go in one packet: 1280 bytes of IPv6 without its headers, with some room.',
    ),
    receiveBufferBytes: bytes(
      { default: 4 * MiB, min: 4 * KiB, max: 1024 * MiB },
      "The system's buffer for what has arrived; it may grant less. What does not fit is lost.",
    ),
    sendBufferBytes: bytes({ default: 4 * MiB, min: 4 * KiB, max: 1024 * MiB }, "The system's buffer for what is sent; it may grant less."),
    maxQueuedBytes: bytes(
      { default: 16 * MiB, min: 64 * KiB, max: 1024 * MiB },
      'Most bytes of a listener that wait until the system takes them; further datagrams are dropped.',
    ),
  },
  'Listeners of datagrams: UDP and DTLS.',
);
