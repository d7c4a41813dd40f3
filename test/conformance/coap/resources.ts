// Resources: what the tests beside them prove, and what is told in the RFCs and asked nowhere there.

import assert from 'node:assert/strict';
import { codeNumber, Code, OptionNumber, textOption, uintOption } from '../../../src/protocols/coap/codec/index.ts';
import { TestHouse } from '../../../src/protocols/coap/resources/testing/house.ts';
import { beside, conforms } from './conforms.ts';

conforms('7252/5.5.2-1', 'every error of the resources says what is wrong', async () => {
  const peer = (await TestHouse.open({ options: { maxObservationsPerPeer: 0 } })).peer();
  const replies = [
    peer.ask('get', '/nothing'),
    peer.ask('get', '/t/a'),
    peer.ask('put', '/t/a'),
    peer.ask('fetch', '/t/a'),
    peer.ask('get', '/q/x'),
    peer.ask('post', '/rd?lt=0'),
    peer.ask('get', '/t/%23', { observe: 0 }),
    peer.ask('post', '/ps'),
  ];
  const words = new TextDecoder('utf-8', { fatal: true });
  for (const { response } of replies) {
    assert.ok(response!.code >= Code.badRequest);
    assert.ok(words.decode(response!.payload).length > 5, codeNumber(response!.code));
  }
});

conforms('7252/5.8-1 8132/3-1', 'methods that are not known', async () => {
  const peer = (await TestHouse.open()).peer();
  for (const [method, path] of [
    ['patch', '/t/a'],
    ['ipatch', '/t/a'],
    ['fetch', '/t/a'],
    ['put', '/q/a'],
    ['get', '/rd'],
    ['put', '/ps'],
    ['post', '/.well-known/core'],
    ['delete', '/rd-lookup/ep'],
  ] as const)
    assert.equal(peer.ask(method, path).code, '4.05', `${method} ${path}`);
});

conforms('7252/5.8.4-1', 'DELETE', async () => {
  const peer = (await TestHouse.open()).peer();
  peer.ask('put', '/t/a', { payload: '1' });
  assert.equal(peer.ask('delete', '/t/a').words, '2.02');
  assert.equal(peer.ask('delete', '/t/a').words, '2.02');
});

conforms('7252/5.10.1-2', 'the host and port that a request names', async () => {
  const peer = (await TestHouse.open()).peer();
  const options = [textOption(OptionNumber.uriHost, 'broker.example'), uintOption(OptionNumber.uriPort, 15_684)];
  assert.equal(peer.ask('put', '/t/a', { payload: '1', options }).words, '2.01');
  assert.equal(peer.ask('get', '/t/a').payload, '1');
});

conforms('7641/2-1', 'Observe 2', async () => {
  const peer = (await TestHouse.open()).peer();
  peer.ask('put', '/t/a', { payload: '1' });
  assert.equal(peer.ask('get', '/t/a', { observe: 2 }).words, '2.05 ETag 1');
});

conforms('7641/4.3.1-1', 'a notification of what does not live long', async () => {
  const peer = (await TestHouse.open()).peer();
  peer.ask('put', '/t/a?ttl=30', { payload: '1' });
  assert.deepEqual(peer.ask('get', '/t/a', { observe: 0 }).heard(), ['CON 2.05 ETag Observe Max-Age=30 1']);
});

conforms('6690/4-1 9148/4.1-1', 'discovery', async () => {
  const links = '</.well-known/est/sen>;rt="ace.est.sen"';
  const mount = { path: ['.well-known', 'est'], handler: { handle: () => {} }, links };
  const peer = (await TestHouse.open({ mounts: [mount] })).peer();
  const found = peer.ask('get', '/.well-known/core', { accept: 40 });
  assert.match(found.words!, /^2\.05 Content-Format=40 <\/t>;/);
  assert.equal(peer.ask('get', '/.well-known/core?rt=ace.est*').payload, links);
  assert.equal(peer.ask('get', '/.well-known/core', { accept: 0 }).code, '4.06');
});

const folder = 'src/protocols/coap/resources';
const topics = `${folder}/topic-resource.test.ts`;
const observations = `${folder}/observations.test.ts`;
const queues = `${folder}/queue-resource.test.ts`;
const directory = `${folder}/directory-resource.test.ts`;
const pubsub = `${folder}/pubsub-resource.test.ts`;
const clients = `${folder}/client.test.ts`;
const convert = `${folder}/convert.test.ts`;
const server = 'src/protocols/coap/server.test.ts';

beside('7252/5.6.1-1', queues, 'a message of a queue is settled when its answer is acknowledged');
beside(
  '7252/5.8.2-1 9176/5-1 9176/5-4 9176/6.1-1 9176/6.2-1 9176/7-1',
  directory,
  'a device registers its own name, and others look it up',
);
beside('7252/5.8.3-1 7252/5.9.1.3-1 7252/5.10.6-1 7252/5.10.8.1-1', topics, 'a topic is a resource: PUT, GET, conditions, DELETE');
beside('7252/5.10.4-1', topics, 'a topic is a resource: PUT, GET, conditions, DELETE');
beside('7252/5.9.2.9-1 9176/5-2 9176/4.3-1 8132/2.2-1', directory, 'what is no registration');
beside('7252/5.9.3.4-1', clients, 'a publisher that is held back is told to wait');
beside('7252/5.10.1-1 8768/3-1', server, 'requests to forward, and paths that no URI has, come to no resource');
beside('7252/5.10.3-1', convert, 'a number that stands for nothing here comes back to CoAP peers');
beside('7252/5.10.4-1', pubsub, 'what cannot be told in the accepted format is answered by 4.06');
beside('7252/5.10.5-1', topics, 'a value with a lifetime');
beside('7252/5.10.7-1', observations, 'a topic with levels that no path has is not told by Location-Path');
beside('7252/5.10.8-1 7252/5.10.8.1-1 7252/5.10.8.2-1', topics, 'every method keeps to its conditions, or refuses them');
beside('7252/8.2-3', clients, 'what is sent to a group is answered only where there is something to tell');
beside('7252/12.8-1', 'src/net/udp-listener.test.ts', 'what comes to a group is told from what comes to the node alone');
beside('7641/3.6-2', observations, 'an observation ends by a reset, a lost notification, a cancel, or the same token');
beside('7641/4.1-2 7641/7-1 8516/3-1', observations, 'there are not more observations than may be');
beside('7641/4.2-2', observations, 'what an observer may not see any more ends with 4.03, and it all with 4.01');
beside('7641/4.2-4', observations, 'a queue that cannot go on in the accepted format says so, and the message is for others');
beside('7641/4.2-4', pubsub, 'what cannot be told in the accepted format is answered by 4.06');
beside('7641/4.3.2-1', observations, 'who has the value already is told that it is valid');
beside('7641/4.4-1', observations, 'sequence numbers rise, over all that a peer observes');
beside('7641/4.5-2', observations, 'an observer is asked whether it is there at least every 24 hours');
beside('7641/4.5-3', observations, 'each confirmable notification waits for the one before it');
beside('7641/4.5-4', observations, 'non-confirmable notifications that cannot leave: the newest of a value, and not more than a few');
beside('8323/7.4-2', 'src/protocols/coap/transport/stream-peer.test.ts', 'are answered, observed, cancelled, and fail');
beside('8132/2-1', 'src/protocols/coap/block/answer-blocks.test.ts', 'a FETCH is told by its body, which further requests may leave out');
beside('8132/2-1 pubsub/2.3-1 pubsub/2.4-1', pubsub, 'collections are listed and filtered');
beside('8132/3-1 pubsub/2.5-1 pubsub/2.5-2', pubsub, 'updates: whole, in part, and what cannot be changed');
beside('6690/2-1', `${folder}/links.test.ts`, 'links are read as RFC 6690 writes them');
beside('6690/2-1', `${folder}/links.test.ts`, 'what is written can be read');
beside('6690/4.1-1', `${folder}/links.test.ts`, 'queries choose by attribute, by one of its values, by a beginning');
beside('9176/5-3', directory, 'a device registers its own name, and others look it up');
beside('9176/5.1-1', directory, 'simple registration: the device is asked for its links');
beside('9176/5.3-1 9176/5.3.1-1 9176/5.3.2-1 9176/6.2-2', directory, 'updates, removal, pages');
beside(
  'pubsub/2.4-2 pubsub/2.5-1 pubsub/3.1-1 pubsub/3.2-1 pubsub/3.2-2',
  pubsub,
  'a topic is created, half at first, published to, read, observed, deleted',
);
beside('pubsub/3.2-3', pubsub, 'a topic that is deleted, or whose time is over, takes its data and observers with it');
