import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import {
  addressOfReply,
  addressOfTopic,
  linkSessionName,
  replyAddressOf,
  sourceNode,
  type SourceNode,
  targetNode,
  terminusExpiryMs,
  type TerminusRequest,
  topicOfTo,
} from './address.ts';
import { AmqpFault } from './codec/index.ts';

const rules = { plainAddress: 'topic', maxTopicBytes: 100, maxTopicLevels: 10 } as const;
const plain: TerminusRequest = {
  address: undefined,
  dynamic: false,
  capabilities: [],
  durable: 0,
  expiryPolicy: 'session-end',
  timeoutSeconds: 0,
};

type Link = { readonly linkName?: string; readonly containerId?: string; readonly desiredCapabilities?: readonly string[] };

function source(request: Partial<TerminusRequest> | undefined, link: Link = {}, plainAddress: 'topic' | 'queue' = 'topic'): SourceNode {
  const identity = { linkName: 'link', containerId: 'c', desiredCapabilities: [], ...link };
  return sourceNode(request && { ...plain, ...request }, identity, { ...rules, plainAddress });
}

function refusal(node: { readonly kind: string; readonly fault?: AmqpFault }): string | undefined {
  assert.equal(node.kind, 'refused');
  return node.fault?.condition;
}

describe('the address of a source', () => {
  it('is a topic filter, a queue or a shared subscription, by its own words', () => {
    const cases: readonly (readonly [string, SourceNode])[] = [
      ['a/b', { kind: 'topic', filter: 'a/b' }],
      ['a/+/c/#', { kind: 'topic', filter: 'a/+/c/#' }],
      ['topic:a/+', { kind: 'topic', filter: 'a/+' }],
      ['topic://a/+', { kind: 'topic', filter: 'a/+' }],
      ['topic:queue:q', { kind: 'topic', filter: 'queue:q' }],
      ['queue:q', { kind: 'queue', filter: '$queue/q', browse: false }],
      ['queue://q/r', { kind: 'queue', filter: '$queue/q/r', browse: false }],
      ['$queue/q', { kind: 'queue', filter: '$queue/q', browse: false }],
      ['$share/g/a/+', { kind: 'shared', filter: '$share/g/a/+', group: 'g', outlivesMembers: false }],
      ['$management', { kind: 'service', name: '$management' }],
      ['$cbs', { kind: 'service', name: '$cbs' }],
      ['$SYS/broker', { kind: 'topic', filter: '$SYS/broker' }],
      ['amqps://broker.example:5671/a/b', { kind: 'topic', filter: 'a/b' }],
      ['amqp://broker.example/queue:q', { kind: 'queue', filter: '$queue/q', browse: false }],
      ['amqp://broker.example', { kind: 'topic', filter: 'amqp://broker.example' }],
    ];
    for (const [address, node] of cases) assert.deepEqual(source({ address }), node, address);
  });

  it('is not one at which somebody would wait for an answer for ever', () => {
    for (const address of ['orders/$management', 'queue:orders/$management', 'amqps://host/orders/$management']) {
      assert.equal(refusal(source({ address })), 'amqp:not-found', address);
      assert.equal(refusal(targetNode({ ...plain, address }, rules)), 'amqp:not-found', address);
    }
  });

  it('is what its capabilities say, as Qpid JMS sends them', () => {
    const node = (address: string, ...capabilities: string[]) => source({ address, capabilities });
    assert.deepEqual(node('orders', 'queue'), { kind: 'queue', filter: '$queue/orders', browse: false });
    assert.deepEqual(node('orders', 'topic'), { kind: 'topic', filter: 'orders' });
    assert.deepEqual(node('queue:tmp', 'temporary-queue'), { kind: 'queue', filter: '$queue/tmp', browse: false });
    assert.deepEqual(node('queue:tmp', 'temporary-topic'), { kind: 'queue', filter: '$queue/tmp', browse: false });
    assert.deepEqual(node('plain', 'temporary-topic'), { kind: 'topic', filter: 'plain' });
    assert.equal(refusal(node('queue:orders', 'topic')), 'amqp:invalid-field');
    assert.equal(refusal(node('topic:orders', 'queue')), 'amqp:invalid-field');
    assert.equal(refusal(node('orders', 'queue', 'topic')), 'amqp:invalid-field');
  });

  it('is what the configuration says, if nothing else does', () => {
    assert.deepEqual(source({ address: 'orders' }, {}, 'queue'), { kind: 'queue', filter: '$queue/orders', browse: false });
    assert.deepEqual(source({ address: 'orders', capabilities: ['topic'] }, {}, 'queue'), { kind: 'topic', filter: 'orders' });
    assert.deepEqual(source({ address: 'topic:orders' }, {}, 'queue'), { kind: 'topic', filter: 'orders' });
    assert.deepEqual(source({ address: '$share/g/a' }, {}, 'queue'), {
      kind: 'shared',
      filter: '$share/g/a',
      group: 'g',
      outlivesMembers: false,
    });
  });

  it('is looked through with the distribution mode copy: queues only', () => {
    assert.deepEqual(source({ address: 'queue:q', distributionMode: 'copy' }), { kind: 'queue', filter: '$queue/q', browse: true });
    assert.deepEqual(source({ address: 'a', distributionMode: 'copy' }), { kind: 'topic', filter: 'a' });
  });

  it('is made where it is dynamic', () => {
    assert.deepEqual(source({ dynamic: true }), { kind: 'temporary', node: 'queue' });
    assert.deepEqual(source({ dynamic: true, capabilities: ['temporary-queue'] }), { kind: 'temporary', node: 'queue' });
    assert.deepEqual(source({ dynamic: true, capabilities: ['temporary-topic'] }), { kind: 'temporary', node: 'topic' });
    assert.equal(refusal(source({ dynamic: true, address: 'mine' })), 'amqp:invalid-field');
  });

  it('is refused where it is none', () => {
    for (const address of [
      '',
      'a/#/b',
      'a+',
      'queue:',
      '$queue/',
      'queue:a/+',
      '$share/g',
      '$share//a',
      'x\0',
      'x'.repeat(101),
      '/'.repeat(11),
    ]) {
      assert.equal(refusal(source({ address })), 'amqp:invalid-field', address);
    }
    assert.equal(refusal(source({})), 'amqp:invalid-field');
  });
});

describe('a shared subscription', () => {
  const shared = (linkName: string, capabilities: readonly string[], more: Partial<TerminusRequest> = {}, containerId = 'client') =>
    source({ address: 'a/+', capabilities, ...more }, { linkName, containerId });

  it('has the name of the link up to its first |, as Qpid JMS names links', () => {
    const global = ['topic', 'shared', 'global'];
    const durable = { durable: 2, expiryPolicy: 'never' };
    assert.deepEqual(shared('sub|global', global, durable), {
      kind: 'shared',
      filter: '$share/sub/a/+',
      group: 'sub',
      outlivesMembers: true,
    });
    assert.deepEqual(shared('sub|global2', global, durable), {
      kind: 'shared',
      filter: '$share/sub/a/+',
      group: 'sub',
      outlivesMembers: true,
    });
  });

  it('that is not durable is another one than the durable one of its name, as JMS wants it', () => {
    const global = ['topic', 'shared', 'global'];
    assert.deepEqual(shared('sub|global-volatile1', global), {
      kind: 'shared',
      filter: '$share/sub@@volatile/a/+',
      group: 'sub@@volatile',
      outlivesMembers: false,
    });
    const group = (linkName: string, more: Partial<TerminusRequest> = {}) => {
      const node = shared(linkName, ['topic', 'shared'], more, 'c1');
      return node.kind === 'shared' ? node.group : undefined;
    };
    assert.equal(group('sub|volatile1'), 'sub@c1@volatile');
    assert.equal(group('sub|volatile2'), 'sub@c1@volatile');
    // Where it is not JMS that names the link.
    assert.equal(group('sub'), 'sub@c1');
    assert.equal(group('sub|2', { durable: 2 }), 'sub@c1');
    assert.equal(group('sub|volatile', { durable: 2 }), 'sub@c1');
  });

  it('is within its client id, where that is one', () => {
    const group = (linkName: string, containerId: string) => {
      const node = shared(linkName, ['topic', 'shared'], {}, containerId);
      return node.kind === 'shared' ? node.group : undefined;
    };
    assert.equal(group('sub', 'c1'), 'sub@c1');
    assert.equal(group('sub|2', 'c1'), 'sub@c1');
    // What means something in a filter, or here, means nothing in a name.
    assert.equal(group('a/b@c+#%', 'x/y'), 'a%2Fb%40c%2B%23%25@x%2Fy');
  });

  it('is found by its name, as Session.unsubscribe of Qpid JMS asks for it', () => {
    assert.deepEqual(source(undefined, { linkName: 'sub|global', containerId: 'id', desiredCapabilities: ['shared', 'global'] }), {
      kind: 'existing',
      group: 'sub',
    });
    assert.deepEqual(source(undefined, { linkName: 'sub|global', containerId: 'id' }), { kind: 'existing', group: 'sub' });
    assert.deepEqual(source(undefined, { linkName: 'sub', containerId: 'id' }), { kind: 'existing', group: 'sub@id' });
  });

  it('is not made twice: an address that names a group keeps it, and queues are shared as they are', () => {
    const keeps = source({ address: '$share/g/a', capabilities: ['shared'] }, { linkName: 'other' });
    assert.deepEqual(keeps, { kind: 'shared', filter: '$share/g/a', group: 'g', outlivesMembers: false });
    assert.equal(source({ address: 'q', capabilities: ['queue', 'shared'] }).kind, 'queue');
  });
});

describe('the address of a target', () => {
  const target = (request: Partial<TerminusRequest> | undefined) => targetNode(request && { ...plain, ...request }, rules);

  it('is a topic, a queue, a node of the broker, or left to each message', () => {
    assert.deepEqual(target({ address: 'a/b' }), { kind: 'topic', topic: 'a/b' });
    assert.deepEqual(target({ address: 'queue:q' }), { kind: 'topic', topic: '$queue/q' });
    assert.deepEqual(target({ address: 'q', capabilities: ['queue'] }), { kind: 'topic', topic: '$queue/q' });
    assert.deepEqual(target({ address: '$cbs' }), { kind: 'service', name: '$cbs' });
    assert.deepEqual(target({}), { kind: 'anonymous' });
    assert.deepEqual(target({ address: '' }), { kind: 'anonymous' });
    assert.deepEqual(target({ dynamic: true }), { kind: 'temporary', node: 'queue' });
  });

  it('is no filter', () => {
    for (const address of ['a/+', 'a/#', 'queue:a/+', 'x\0']) assert.equal(refusal(target({ address })), 'amqp:invalid-field', address);
    assert.equal(refusal(target(undefined)), 'amqp:invalid-field');
  });

  it('of a message may say what it is by its destination type', () => {
    assert.equal(topicOfTo('a', undefined, rules), 'a');
    assert.equal(topicOfTo('a', 0, rules), '$queue/a');
    assert.equal(topicOfTo('a', 1, rules), 'a');
    assert.equal(topicOfTo('queue:a', 2, rules), '$queue/a');
    assert.equal(topicOfTo('a', 99, rules), 'a');
    assert.ok(topicOfTo('a/+', undefined, rules) instanceof AmqpFault);
  });
});

describe('a reply address', () => {
  it('comes back as it went', () => {
    for (const address of [
      { kind: 'topic', name: 'a/b' },
      { kind: 'queue', name: 'q' },
      { kind: 'topic', name: 'queue:x' },
      { kind: 'topic', name: 'topic:x' },
    ] as const) {
      assert.deepEqual(replyAddressOf(addressOfReply(address), undefined, 'topic'), address);
    }
    assert.equal(addressOfTopic('$queue/q'), 'queue:q');
    assert.equal(addressOfTopic('a'), 'a');
  });

  it('is of the type that Qpid JMS says', () => {
    assert.deepEqual(replyAddressOf('a', 0, 'topic'), { kind: 'queue', name: 'a' });
    assert.deepEqual(replyAddressOf('a', 1, 'queue'), { kind: 'topic', name: 'a' });
    assert.deepEqual(replyAddressOf('a', undefined, 'queue'), { kind: 'queue', name: 'a' });
    // What contradicts itself is what it says it is not.
    assert.deepEqual(replyAddressOf('queue:a', 1, 'topic'), { kind: 'topic', name: 'queue:a' });
  });
});

describe('a terminus', () => {
  it('names its broker session so that no two are the same', () => {
    assert.equal(linkSessionName('c', 'in', 'l'), '$amqp/c/in/l');
    assert.equal(linkSessionName('a/out/x', 'out', '50%/l'), '$amqp/a%2Fout%2Fx/out/50%25%2Fl');
  });

  it('lives as long as it is asked to, and may', () => {
    const expiry = (expiryPolicy: string, timeoutSeconds: number, maxMs = Infinity) =>
      terminusExpiryMs({ ...plain, expiryPolicy, timeoutSeconds }, maxMs);
    assert.equal(expiry('never', 0), Infinity);
    assert.equal(expiry('never', 0, 5000), 5000);
    assert.equal(expiry('link-detach', 3), 3000);
    assert.equal(expiry('session-end', 0), 0);
    assert.equal(expiry('connection-close', 10, 5000), 5000);
  });
});
