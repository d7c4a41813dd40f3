// rhea: the nodes of the broker itself: $management, asked as tools ask it, and $cbs, where tokens are renewed.

import assert from 'node:assert/strict';

import { Peer } from './rhea-client.ts';
import { queue } from './rhea.ts';

import type { Message } from 'rhea';
import type { CheckContext, Checks } from '../checks.ts';
import type { AmqpTarget } from './amqp-target.ts';
import type { Inbox, Outbox } from './rhea-client.ts';

type Answer = { readonly status: number; readonly body: unknown };
type Properties = Readonly<Record<string, string | number>>;

/** Requests to one node, and their answers. */
class Node {
  readonly #answers: Inbox;
  readonly #questions: Outbox;
  readonly #replyTo: string;

  private constructor(answers: Inbox, questions: Outbox, replyTo: string) {
    this.#answers = answers;
    this.#questions = questions;
    this.#replyTo = replyTo;
  }

  /** Answers come by a link from the node, which the reply address only names, as Azure's clients have it. */
  static async open(peer: Peer, address: string): Promise<Node> {
    const replyTo = `${address}-replies`;
    const answers = await peer.receiver({ address }, { target: { address: replyTo } });
    return new Node(answers, await peer.sender({ address }), replyTo);
  }

  async ask(properties: Properties, body: unknown = null): Promise<Answer> {
    const asked = this.#answers.received.length;
    const message = { application_properties: properties, body, reply_to: this.#replyTo, message_id: `question ${asked}` };
    await this.#questions.accepted(message as Message);
    const received = await this.#answers.expect(asked + 1);
    const { application_properties: told, correlation_id: correlation, body: content } = received[asked]!.message;
    assert.equal(correlation, message.message_id);
    return { status: Number(told!['statusCode']), body: content };
  }
}

export async function rheaNodeChecks(checks: Checks, target: AmqpTarget): Promise<void> {
  const check = (name: string, body: (target: AmqpTarget, context: CheckContext) => Promise<void>): Promise<void> =>
    checks.check(`rhea: ${name}`, (context) => body(target, context));
  await check('$management makes, shows, empties and ends queues', management);
  if (target.jwt === undefined) checks.skip('rhea: $cbs', 'the target takes no tokens');
  else await check('$cbs takes a new token of the same peer, and no other', claims);
}

const type = 'org.heliograph.queue';

async function management(target: AmqpTarget, context: CheckContext): Promise<void> {
  const peer = await Peer.connect(target, context);
  const node = await Node.open(peer, '$management');
  const name = context.unique;
  const about = async (operation: string): Promise<number> => (await node.ask({ operation, type, name }, {})).status;
  assert.equal(await about('READ'), 404);
  assert.equal(await about('CREATE'), 201);
  const outbox = await peer.sender(queue(name));
  for (const body of ['1', '2', '3']) await outbox.accepted({ body, durable: true });
  const read = await node.ask({ operation: 'READ', type, name });
  assert.equal(read.status, 200);
  assert.equal(Number((read.body as Record<string, unknown>)['messageCount']), 3);
  const query = await node.ask({ operation: 'QUERY', entityType: type }, { attributeNames: ['name', 'messageCount'] });
  assert.equal(query.status, 200);
  const { attributeNames, results } = query.body as { attributeNames: string[]; results: [string, unknown][] };
  assert.deepEqual(attributeNames, ['name', 'messageCount']);
  assert.equal(Number(results.find(([found]) => found === name)?.[1]), 3);
  assert.equal((await node.ask({ operation: 'PURGE', type, name }, {})).status < 300, true);
  const inbox = await peer.receiver(queue(name), { credit_window: 0 });
  assert.deepEqual(await inbox.drain(), []);
  await inbox.close();
  outbox.sender.close();
  assert.equal(await about('DELETE'), 204);
  assert.equal(await about('READ'), 404);
  assert.equal((await node.ask({ operation: 'NONSENSE' })).status, 501);
}

async function claims(target: AmqpTarget, context: CheckContext): Promise<void> {
  const id = `app-${context.unique}`;
  const login = { username: 'token', password: await target.jwt!(id) };
  const peer = await Peer.connect(target, context, 'amqp', login as never);
  const node = await Node.open(peer, '$cbs');
  const put = async (kind: string, token: string): Promise<number> =>
    (await node.ask({ operation: 'put-token', type: kind, name: 'amqp://heliograph' }, token)).status;
  assert.equal(await put('jwt', await target.jwt!(id)), 202);
  assert.equal(await put('jwt', await target.jwt!('somebody-else')), 403);
  assert.equal(await put('jwt', 'no token'), 401);
  assert.equal(await put('servicebus.windows.net:sastoken', 'SharedAccessSignature sr=x'), 400);
  await assert.rejects(Peer.connect(target, context, 'amqp', { ...login, password: 'no token' } as never));
}
