// Commands: messages below the command topic of a registered device are sent to it as requests, one at a time, on the path on which it
// was heard last, and its answers go to whom the messages name (replyTo, with their correlation).
//
// They wait in a durable session of the device's principal: while it sleeps, and while its registration is over, for as long as
// `commandKeepSec`. A command is settled when the device has answered and the answer is taken; what was sent and not answered is sent
// again when the device is heard next.

import { Outcome, type CloseReason, type Consumer, type Session, type SubscribeResult } from '../../../broker/port.ts';
import type { Attributes } from '../../../message/attributes.ts';
import { defaultPriority, Message } from '../../../message/message.ts';
import { Code, codeNumber, type CoapOption, OptionNumber, optionValue, textBytes, uintOption, uintValue } from '../codec/index.ts';
import type { CoapResponse, OutgoingRequest, RequestFailure } from '../exchange.ts';
import type { Client } from './client.ts';
import { attributesOf, formatOf } from './convert.ts';
import type { House } from './house.ts';
import { commandTopicOf, queueMode, type Registration } from './registration.ts';
import { Settlements } from './settlements.ts';

const methods: ReadonlyMap<string, number> = new Map([
  ['get', Code.get],
  ['post', Code.post],
  ['put', Code.put],
  ['delete', Code.delete],
  ['fetch', Code.fetch],
  ['patch', Code.patch],
  ['ipatch', Code.ipatch],
]);

/** What is under way: the delivery, and where its answer goes. */
type Command = { readonly deliveryId: number; readonly attributes: Attributes | undefined };

export class CommandLink implements Consumer {
  readonly #house: House;
  readonly #settlements: Settlements;
  #client: Client | undefined = undefined;
  #prefix = '';
  #sleeps = false;
  #session: Session | undefined = undefined;
  #isOpening = false;
  /** The device did not answer: it is asked nothing until it speaks. */
  #isSilent = false;
  #heardAtMs = 0;
  #underWay: Command | undefined = undefined;
  #stop: (() => void) | undefined = undefined;
  readonly #replies = new Map<number, Command>();
  #nextReply = 1;
  ended = false;

  constructor(house: House) {
    this.#house = house;
    this.#settlements = new Settlements((task) => house.later(task));
  }

  /** The device has registered, or renewed it: it is there. */
  bind(client: Client, registration: Registration): void {
    if (this.#client !== client) {
      this.#client?.commands?.delete(this);
      this.#client = client;
      (client.commands ??= new Set()).add(this);
    }
    this.#sleeps = queueMode(registration);
    this.#open(client, registration);
    this.heard();
  }

  #open(client: Client, { ep, key, owner }: Registration): void {
    if (this.#session !== undefined || this.#isOpening) return;
    // A name with these would be several levels, or stand for others' (docs/mapping.md §2).
    if (/[/+#\0]/.test(ep)) return;
    const { options, broker } = this.#house;
    this.#prefix = `${commandTopicOf(options.commandTopic, ep)}/`;
    this.#isOpening = true;
    broker.attach(
      {
        ...client.attachRequest(`$coap/command/${owner}/${key}`, 1),
        cleanStart: false,
        sessionExpiryMs: options.commandKeepSec * 1000,
        queuesAtMostOnce: true,
      },
      this,
    );
  }

  /** The device has said something. */
  heard(): void {
    this.#heardAtMs = this.#house.clock.monotonicMs();
    this.#isSilent = false;
    if (this.#session !== undefined && this.#underWay === undefined) this.#house.later(() => this.#session?.resume());
  }

  /** Its peer is gone. */
  unbind(client: Client): void {
    if (this.#client !== client) return;
    this.#client = undefined;
    this.#failed();
  }

  /** The registration is over; what waits stays for a while. */
  end(): void {
    if (this.ended) return;
    this.ended = true;
    this.#client?.commands?.delete(this);
    this.#client = undefined;
    this.#stop?.();
    this.#stop = this.#underWay = undefined;
    const session = this.#session;
    this.#session = this.#settlements.session = undefined;
    session?.detach(false);
  }

  // --- Commands

  get congested(): boolean {
    if (this.#client === undefined || this.#isSilent || this.#underWay !== undefined) return true;
    const { clock, options } = this.#house;
    return this.#sleeps && clock.monotonicMs() - this.#heardAtMs > options.awakeSec * 1000;
  }

  send(message: Message): boolean {
    this.#command(0, message);
    return true;
  }

  transfer(deliveryId: number, _guarantee: 1 | 2, message: Message): boolean {
    this.#settlements.enter();
    this.#command(deliveryId, message);
    this.#settlements.leave();
    return true;
  }

  #command(deliveryId: number, message: Message): void {
    const { counters } = this.#house;
    const client = this.#client;
    const command: Command = { deliveryId, attributes: message.attributes };
    const request = message.topic.startsWith(this.#prefix) ? requestOf(message.topic.slice(this.#prefix.length), message) : undefined;
    if (request === undefined) {
      counters.commandsInvalid++;
      const reason = {
        condition: 'amqp:invalid-field',
        description: 'the topic names no method: get, post, put, delete, fetch, patch, ipatch',
      };
      if (deliveryId > 0) this.#settlements.settle(deliveryId, 'rejected', { reason });
      return;
    }
    if (client === undefined) {
      if (deliveryId > 0) this.#settlements.settle(deliveryId, 'released');
      return;
    }
    counters.commandsSent++;
    this.#underWay = command;
    // Not from within the broker's call: the answer may come at once.
    this.#house.later(() => {
      if (this.#underWay !== command || this.ended) return;
      this.#stop = client.peer.request(request, (result) => this.#answered(command, result));
    });
  }

  #answered(command: Command, result: CoapResponse | RequestFailure): void {
    if (this.#underWay !== command) return;
    this.#stop = undefined;
    if ('failure' in result) return this.#failed();
    const { counters } = this.#house;
    counters.commandsAnswered++;
    this.#heardAtMs = this.#house.clock.monotonicMs();
    this.#reply(command, result);
  }

  /** The requester is told before the command is settled: else a crash between both would lose the answer. */
  #reply(command: Command, response: CoapResponse): void {
    const session = this.#session;
    const replyTo = command.attributes?.replyTo;
    if (session === undefined || replyTo === undefined) return this.#settled(command);
    const topic = replyTo.kind === 'queue' ? `$queue/${replyTo.name}` : replyTo.name;
    const topicBytes = textBytes(topic);
    const { payload, options, code } = response;
    const format = optionValue(options, OptionNumber.contentFormat);
    const correlation = command.attributes?.correlation;
    const attributes: Attributes = {
      ...attributesOf(format === undefined ? -1 : uintValue(format)),
      ...(correlation !== undefined && { correlation }),
      properties: [{ key: 'coap-code', value: { type: 'string', value: codeNumber(code) } }],
    };
    const nowMs = this.#house.clock.wallMs();
    const { id } = session.principal;
    const message = new Message(
      topic,
      topicBytes,
      payload,
      0,
      payload.length,
      command.deliveryId > 0 ? 1 : 0,
      false,
      defaultPriority,
      0,
      nowMs,
      id,
      attributes,
    );
    const token = this.#nextReply++;
    const outcome = session.publish(session.address(topic, topicBytes), message, token);
    if (outcome === Outcome.pending) this.#replies.set(token, command);
    // Whoever may not be answered, or has no room for it, has had its command done all the same.
    else this.#settled(command);
  }

  published(token: number): void {
    const command = this.#replies.get(token);
    this.#replies.delete(token);
    if (command !== undefined) this.#house.later(() => this.#settled(command));
  }

  #settled(command: Command): void {
    if (this.#underWay !== command) return;
    this.#underWay = undefined;
    if (command.deliveryId > 0) this.#settlements.settle(command.deliveryId, 'accepted');
    this.#session?.resume();
  }

  /** Not answered: it goes back, and the device is left alone until it speaks. */
  #failed(): void {
    const command = this.#underWay;
    this.#isSilent = true;
    this.#stop?.();
    this.#stop = this.#underWay = undefined;
    if (command === undefined) return;
    this.#house.counters.commandsUnanswered++;
    if (command.deliveryId > 0) this.#settlements.settle(command.deliveryId, 'released');
  }

  // --- What the broker says

  attached(_outcome: Outcome, session: Session | undefined): void {
    this.#isOpening = false;
    if (session === undefined) return;
    if (this.ended) return session.detach(false);
    this.#session = this.#settlements.session = session;
    this.#house.later(() => {
      const filter = `${this.#prefix}#`;
      const terms = { guarantee: 1, noLocal: true, retainAsPublished: true, retainHandling: 'never', subscriptionId: 0 } as const;
      this.#session?.subscribe([{ filter, ...terms }], 0);
    });
  }

  subscribed(_token: number, results: readonly SubscribeResult[]): void {
    if (results[0]!.outcome === Outcome.accepted) return;
    // What it may not subscribe to, nobody can command it by.
    this.#house.log.warn('coap.commands.refused', { topic: `${this.#prefix}#`, principal: this.#session?.principal.id });
  }

  detached(_reason: CloseReason): void {
    this.#session = this.#settlements.session = undefined;
    this.end();
  }

  unsubscribed(): void {}
  releaseDelivery(): void {}
  released(): void {}
  hold(): void {}
}

/** `put/lamps/1?fade=2`: the method, the path, the query. Undefined: it names no method. */
function requestOf(text: string, message: Message): OutgoingRequest | undefined {
  const [where, query] = splitOnce(text, '?');
  const [method, ...path] = where.split('/');
  const code = methods.get(method!.toLowerCase());
  if (code === undefined) return undefined;
  const options: CoapOption[] = path.map((segment) => ({ number: OptionNumber.uriPath, value: textBytes(segment) }));
  const format = formatOf(message.attributes);
  if (format >= 0) options.push(uintOption(OptionNumber.contentFormat, format));
  for (const argument of query === undefined ? [] : query.split('&'))
    options.push({ number: OptionNumber.uriQuery, value: textBytes(argument) });
  if (options.some(({ value }) => value.length > 255)) return undefined;
  return { code, options, payload: new Uint8Array(message.payload()), confirmable: true };
}

function splitOnce(text: string, separator: string): [string, string | undefined] {
  const at = text.indexOf(separator);
  return at < 0 ? [text, undefined] : [text.slice(0, at), text.slice(at + 1)];
}
