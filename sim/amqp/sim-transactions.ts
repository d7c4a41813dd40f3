// Transactions of a simulated client: one that posts to several addresses at once, and one that moves messages from queue to queue,
// each with a coordinator link of its own.

import { acceptedState, releasedState, TerminusDurability, type DeliveryState } from '../../src/protocols/amqp/codec/index.ts';
import type { SentMessage, TransactionFacts } from '../facts.ts';
import { between, chance, pick } from '../random-choices.ts';
import type { AmqpEnd, Delivery, EndLink } from './amqp-end.ts';
import { decodeText, encodeRequest, encodeText } from './message-text.ts';
import type { Role, SimAmqpClient } from './sim-amqp-client.ts';
import { addressOf } from './sim-sender.ts';

const declareCode = 0x31;
const dischargeCode = 0x32;

/** What becomes of a transaction; `unknown`: the connection was lost after commit was asked for. */
type Fate = 'committed' | 'rolledBack' | 'unknown';

/** The link to the coordinator, and the one transaction that it has open at a time. */
class Controller {
  readonly #client: SimAmqpClient;
  readonly #name: string;
  #end: AmqpEnd | undefined = undefined;
  #link: EndLink | undefined = undefined;
  #serial = 0;
  #declared: ((txnId: Uint8Array) => void) | undefined = undefined;
  #over: ((fate: Fate) => void) | undefined = undefined;
  #discharging: 'commit' | 'rollback' | undefined = undefined;

  constructor(client: SimAmqpClient, name: string) {
    this.#client = client;
    this.#name = name;
  }

  get busy(): boolean {
    return this.#over !== undefined;
  }

  get state(): string {
    const doing = this.#declared !== undefined ? 'declaring' : (this.#discharging ?? 'open');
    return `${this.busy ? doing : 'idle'}, control ${this.#link?.attached} with credit ${this.#link?.credit}`;
  }

  get isReady(): boolean {
    return !this.busy && this.#link?.attached === true && this.#link.credit > 1;
  }

  attach(end: AmqpEnd): void {
    this.#end = end;
    this.#link = end.attach(
      true,
      {
        name: this.#name,
        source: { type: 'source', address: 'here' },
        target: { type: 'coordinator', capabilities: ['amqp:local-transactions'] },
      },
      {
        attached: () => {},
        detached: ({ error }) => {
          this.#client.complain(`the coordinator detaches: ${error?.condition} ${error?.description}`);
          this.#client.world.after(100, () => this.#client.drop());
        },
        delivery: () => {},
        disposed: (_tag, _settled, state) => this.#answered(state),
        flowed: () => {},
      },
    );
  }

  lost(): void {
    this.#end = this.#link = undefined;
    this.#finish(this.#discharging === 'commit' ? 'unknown' : 'rolledBack');
  }

  declare(declared: (txnId: Uint8Array) => void, over: (fate: Fate) => void): void {
    this.#declared = declared;
    this.#over = over;
    this.#request(encodeRequest(declareCode, []));
  }

  discharge(txnId: Uint8Array, fail: boolean): void {
    if (this.#end === undefined || !this.busy) return;
    this.#discharging = fail ? 'rollback' : 'commit';
    this.#request(
      encodeRequest(dischargeCode, [
        { type: 'binary', value: txnId },
        { type: 'boolean', value: fail },
      ]),
    );
  }

  #request(message: Uint8Array): void {
    if (!this.#end!.transfer(this.#link!, `r${this.#serial++}`, message, { settled: false })) {
      this.#client.complain('the coordinator has given no credit');
      this.#client.world.after(0, () => this.#client.drop());
    }
  }

  #answered(state: DeliveryState | undefined): void {
    if (!this.busy) return;
    if (state?.type === 'declared' && this.#declared !== undefined) {
      const declared = this.#declared;
      this.#declared = undefined;
      return declared(Uint8Array.from(state.txnId));
    }
    // Refused, or rolled back since.
    if (state?.type === 'rejected') return this.#finish('rolledBack');
    if (state?.type !== 'accepted' || this.#discharging === undefined)
      return this.#client.complain(`a coordinator answered ${state?.type}`);
    this.#finish(this.#discharging === 'commit' ? 'committed' : 'rolledBack');
  }

  #finish(fate: Fate): void {
    const over = this.#over;
    this.#over = this.#declared = this.#discharging = undefined;
    over?.(fate);
  }
}

/** Posts some messages to some addresses, all or none of them. */
export class SimTransactor implements Role {
  readonly name = 'transactor';
  readonly #client: SimAmqpClient;
  readonly #controller: Controller;
  readonly #topics: readonly string[];
  readonly #links = new Map<string, EndLink>();
  readonly #sequences = new Map<string, number>();
  /** One of its messages was not taken. */
  #refused = false;
  #end: AmqpEnd | undefined = undefined;
  #serial = 0;

  constructor(client: SimAmqpClient, topics: readonly string[]) {
    this.#client = client;
    this.#topics = topics;
    this.#controller = new Controller(client, 'control');
    client.roles.push(this);
  }

  get idle(): boolean {
    return !this.#controller.busy;
  }

  opened(end: AmqpEnd): void {
    this.#end = end;
    this.#controller.attach(end);
    for (const topic of this.#topics)
      this.#links.set(
        topic,
        sendingLink(end, this.#client, `post ${topic}`, topic, (state) => this.#posted(state)),
      );
  }

  lost(): void {
    this.#end = undefined;
    this.#links.clear();
    this.#controller.lost();
  }

  #posted(state: DeliveryState | undefined): void {
    if (state?.type !== 'transactional-state' || state.outcome?.type !== 'accepted') this.#refused = true;
  }

  begin(): void {
    const end = this.#end;
    if (end === undefined || !this.#controller.isReady) return;
    const { world, facts, options } = this.#client;
    const { random } = world;
    const transaction: TransactionFacts = { keys: [], fate: 'rolledBack' };
    facts.transactions.push(transaction);
    const messages: SentMessage[] = [];
    this.#refused = false;
    const post = (txnId: Uint8Array): void => {
      for (let i = 1 + random.below(5); i > 0; i--) {
        const topic = pick(random, this.#topics);
        const link = this.#links.get(topic);
        if (link === undefined) continue;
        const tag = `x${this.#serial++}`;
        const key = `${options.containerId}#${tag}`;
        const sequence = (this.#sequences.get(topic) ?? 0) + 1;
        const bytes = encodeText(world.payload(key, random.below(300)));
        if (!end.transfer(link, tag, bytes, { settled: false, state: { type: 'transactional-state', txnId } })) continue;
        this.#sequences.set(topic, sequence);
        const message: SentMessage = {
          key,
          publisher: options.containerId,
          topic,
          sequence,
          qos: 2,
          retain: false,
          sentAtMs: world.nowMs,
          acknowledgedAtMs: undefined,
          attempts: 1,
          refused: false,
        };
        facts.sent.set(key, message);
        messages.push(message);
        transaction.keys.push(key);
      }
      const { connection } = this.#client;
      world.after(between(random, 0, 500), () => {
        if (connection === this.#client.connection) this.#controller.discharge(txnId, this.#refused || chance(random, 0.2));
      });
    };
    this.#controller.declare(post, (fate) => {
      transaction.fate = fate;
      for (const message of messages) {
        if (fate === 'committed') message.acknowledgedAtMs = world.nowMs;
        else if (fate === 'rolledBack') message.refused = true;
      }
    });
  }
}

/** Takes from one queue and posts to another, each message in a transaction of its own. */
export class SimMover implements Role {
  readonly name = 'mover';
  readonly #client: SimAmqpClient;
  readonly #controller: Controller;
  readonly #from: string;
  readonly #to: string;
  readonly #waiting: Delivery[] = [];
  #end: AmqpEnd | undefined = undefined;
  #source: EndLink | undefined = undefined;
  #target: EndLink | undefined = undefined;
  #serial = 0;
  #maxPauseMs = 300;

  constructor(client: SimAmqpClient, from: string, to: string) {
    this.#client = client;
    this.#from = from;
    this.#to = to;
    this.#controller = new Controller(client, 'move');
    client.roles.push(this);
  }

  get idle(): boolean {
    return !this.#controller.busy && this.#waiting.length === 0;
  }

  /** From now on without pauses: where time is real, what has piled up must go within a time-out. */
  beDiligent(): void {
    this.#maxPauseMs = 0;
  }

  waitsFor(): string {
    return `${this.#waiting.length} to be moved, credit ${this.#target?.credit}, ${this.#controller.state}`;
  }

  opened(end: AmqpEnd): void {
    this.#end = end;
    this.#controller.attach(end);
    this.#target = sendingLink(end, this.#client, 'moved', this.#to, () => {});
    const source = { type: 'source', address: addressOf(this.#from) } as const;
    this.#source = end.attach(
      false,
      { name: 'to be moved', sndSettleMode: 0, rcvSettleMode: 0, source, target: { type: 'target', address: 'here' } },
      {
        attached: () => end.flow(this.#source!, 3, false),
        detached: () => this.#client.world.after(100, () => this.#client.drop()),
        delivery: (delivery) => {
          this.#waiting.push(delivery);
          this.step();
        },
        disposed: () => {},
        flowed: () => {},
      },
    );
  }

  lost(): void {
    this.#end = this.#source = this.#target = undefined;
    this.#waiting.length = 0;
    this.#controller.lost();
  }

  /** Called now and then, too: there may have been no credit. */
  step(): void {
    const end = this.#end;
    const target = this.#target;
    if (end === undefined || target?.attached !== true || target.credit === 0 || !this.#controller.isReady) return;
    const delivery = this.#waiting.shift();
    if (delivery === undefined) return;
    const { world, connection } = this.#client;
    const { random } = world;
    const settled = chance(random, 0.5);
    this.#controller.declare(
      (txnId) => {
        const body = decodeText(delivery.message) ?? '';
        end.transfer(target, `m${this.#serial++}`, encodeText(body), { settled: false, state: { type: 'transactional-state', txnId } });
        const state: DeliveryState = { type: 'transactional-state', txnId, outcome: acceptedState };
        end.dispose(false, delivery.deliveryId, settled, state);
        world.after(between(random, 0, this.#maxPauseMs), () => {
          if (connection === this.#client.connection) this.#controller.discharge(txnId, chance(random, 0.2));
        });
      },
      (fate) => {
        if (this.#end !== end || fate === 'unknown') return;
        if (!settled || fate === 'rolledBack')
          end.dispose(false, delivery.deliveryId, true, fate === 'committed' ? acceptedState : releasedState);
        if (this.#source !== undefined) end.flow(this.#source, 3 - this.#waiting.length, false);
        world.after(0, () => this.step());
      },
    );
  }
}

function sendingLink(
  end: AmqpEnd,
  client: SimAmqpClient,
  name: string,
  topic: string,
  posted: (state: DeliveryState | undefined) => void,
): EndLink {
  const durable = { durable: TerminusDurability.none };
  return end.attach(
    true,
    {
      name,
      sndSettleMode: 0,
      rcvSettleMode: 1,
      source: { type: 'source', address: 'here', ...durable },
      target: { type: 'target', address: addressOf(topic), ...durable },
    },
    {
      attached: () => {},
      detached: ({ error }) => {
        if (error?.condition !== 'amqp:link:stolen') client.world.after(100, () => client.drop());
      },
      delivery: () => {},
      disposed: (tag, settled, state) => {
        posted(state);
        if (settled) return;
        const link = end.linkNamed(name);
        const id = link && end.idOf(link, tag);
        if (id !== undefined) end.dispose(true, id, true, undefined);
      },
      flowed: () => {},
    },
  );
}
