// Which kind of link an attach asks for.

import { targetNode, serviceNodes, type ServiceNode } from './address.ts';
import { type Attach, Condition } from './codec/index.ts';
import { wordsOf } from './conditions.ts';
import { CoordinatorLink } from './coordinator-link.ts';
import { IncomingLink, type PublishNode } from './incoming-link.ts';
import type { Link, LinkHost } from './link.ts';
import { ServiceSource } from './nodes/service-source.ts';
import { ServiceTarget } from './nodes/service-target.ts';
import { openOutgoingLink } from './outgoing-link.ts';
import { terminusRequest } from './terminus-request.ts';
import { Outcome } from '../../broker/port.ts';

/** Opens the link that the peer asks for, or refuses it: then there is none. */
export function openLink(host: LinkHost): Link | undefined {
  const { asked } = host;
  if (host.isPending && nodeOf(asked) !== '$cbs') {
    host.refuse({ condition: Condition.unauthorizedAccess, message: 'a token on $cbs must prove who you are' });
    return undefined;
  }
  if (nodeOf(asked) !== undefined && host.nodes.isFull(asked.role === 'receiver' ? 'out' : 'in')) {
    host.refuse({ condition: Condition.resourceLimitExceeded, message: 'there are too many links to nodes of the broker' });
    return undefined;
  }
  if (asked.role === 'receiver') return openOutgoing(host);
  if (asked.target?.type === 'coordinator') return new CoordinatorLink(host);
  return openIncoming(host);
}

/** The address that is asked for, if it is one of a service. */
function nodeOf({ role, source, target }: Attach): ServiceNode | undefined {
  if (role === 'receiver') return serviceOf(source?.address);
  return target?.type === 'target' ? serviceOf(target.address) : undefined;
}

function openOutgoing(host: LinkHost): Link | undefined {
  const service = serviceOf(host.asked.source?.address);
  return service === undefined ? openOutgoingLink(host) : new ServiceSource(host, service);
}

function openIncoming(host: LinkHost): Link | undefined {
  const { target } = host.asked;
  const node = targetNode(target?.type === 'target' ? terminusRequest(target) : undefined, host.server.options);
  switch (node.kind) {
    case 'refused':
      host.refuse(node.fault);
      return undefined;
    case 'service':
      return new ServiceTarget(host, node.name);
    case 'temporary':
      return openTemporary(host, node.node);
    case 'topic': {
      // Asked of the connection's session, so that a link that may not be has none of its own.
      const { outcome } = host.connectionSession.address(node.topic, Buffer.from(node.topic));
      if (outcome !== Outcome.accepted) {
        host.refuse(wordsOf(outcome));
        return undefined;
      }
      return begin(new IncomingLink(host, node));
    }
    case 'anonymous':
      return begin(new IncomingLink(host, node));
  }
}

function openTemporary(host: LinkHost, kind: 'queue' | 'topic'): Link | undefined {
  const name = host.connectionSession.createTemporary(kind);
  if (name === undefined) {
    host.refuse({ condition: Condition.resourceLimitExceeded, message: 'there are too many temporary queues and topics' });
    return undefined;
  }
  const node: PublishNode = { kind: 'topic', topic: kind === 'queue' ? `$queue/${name}` : name, temporary: name };
  return begin(new IncomingLink(host, node));
}

function begin(link: IncomingLink): IncomingLink {
  link.open();
  return link;
}

function serviceOf(address: string | undefined): ServiceNode | undefined {
  return serviceNodes.find((name) => name === address);
}
