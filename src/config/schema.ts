// The one schema. Each section stands in a file of its own, those of protocols in their folders; the generated docs/configuration.md follows this order.

import type { Static } from 'typebox';
import { section } from './fields.ts';
import { protocolSections } from './protocol-kinds.ts';
import type { SchemaNode } from './schema-node.ts';
import { adminSection } from './sections/admin.ts';
import { auditSection } from './sections/audit.ts';
import { brokerSection } from './sections/broker.ts';
import { datagramsSection } from './sections/datagrams.ts';
import { dtlsSection } from './sections/dtls.ts';
import { enrolmentSection } from './sections/enrolment.ts';
import { listenersSection } from './sections/listeners.ts';
import { logSection } from './sections/log.ts';
import { netSection } from './sections/net.ts';
import { nodeSection } from './sections/node.ts';
import { pkiSection } from './sections/pki.ts';
import { queuesSection } from './sections/queues.ts';
import { registrySection } from './sections/registry.ts';
import { revocationSection } from './sections/revocation.ts';
import { securitySection } from './sections/security.ts';
import { storeSection } from './sections/store.ts';
import { tlsSection } from './sections/tls.ts';

export const configSchema = section(
  {
    node: nodeSection,
    listeners: listenersSection,
    tls: tlsSection,
    pki: pkiSection,
    enrolment: enrolmentSection,
    revocation: revocationSection,
    security: securitySection,
    ...protocolSections,
    broker: brokerSection,
    queues: queuesSection,
    store: storeSection,
    registry: registrySection,
    net: netSection,
    datagrams: datagramsSection,
    dtls: dtlsSection,
    admin: adminSection,
    audit: auditSection,
    log: logSection,
  },
  'Heliograph configuration.',
);

export type Config = Static<typeof configSchema>;
export type ListenerConfig = Config['listeners'][string];

/** The schema as plain data, for code that walks it. */
export const schemaTree = configSchema as unknown as SchemaNode;
