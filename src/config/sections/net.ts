import { bytes, count, milliseconds, section } from '../fields.ts';

const KiB = 1024;
const MiB = 1024 * KiB;

export const netSection = section(
  {
    maxConnections: count(
      { default: 100_000, min: 1, max: 10_000_000, live: true },
      'Most connections of a listener, handshakes included. Each costs memory and a file descriptor.',
    ),
    maxConnectionsPerAddress: count(
      { default: 0, min: 0, max: 10_000_000 },
      'Most connections of a listener from one IPv4 address or one IPv6 /64. 0: no bound (many devices may share the address of a gateway).',
    ),
    connectionsPerSecond: count(
      { default: 10_000, min: 0, max: 10_000_000, live: true },
      'New connections of a listener a second, on average. Stops floods before they cost a handshake each. 0: no bound.',
    ),
    connectionBurst: count({ default: 20_000, min: 1, max: 10_000_000, live: true }, 'How many may come at once before that rate counts.'),
    handshakeTimeoutMs: milliseconds(
      { default: 10_000, min: 100, max: 600_000 },
      'From accepting to the end of the TLS handshake and the WebSocket upgrade. Stops slow handshakes from piling up.',
    ),
    maxPendingHandshakes: count(
      { default: 10_000, min: 1, max: 1_000_000, live: true },
      'Handshakes under way. Bounds what strangers can make the node hold and compute.',
    ),
    closeTimeoutMs: milliseconds(
      { default: 5000, min: 10, max: 600_000 },
      'How long a closing connection may take to receive its last bytes.',
    ),
    keepAliveMs: milliseconds(
      { default: 60_000, min: 0, max: 86_400_000 },
      'Silence after which TCP probes the peer, to find those that are gone. 0: never.',
    ),
    backlog: count({ default: 4096, min: 1, max: 65_535 }, 'Connections that the system holds ready until they are accepted.'),
    outputHighWaterBytes: bytes(
      { default: 256 * KiB, min: 4 * KiB, max: 256 * MiB },
      'Above so many unsent bytes a connection is congested: deliveries wait in their queue.',
    ),
    outputLowWaterBytes: bytes({ default: 64 * KiB, min: 0, max: 256 * MiB }, 'Below so many unsent bytes it is congested no more.'),
  },
  'Connections of every protocol.',
);
