// Resources of the plugtests that change by themselves, and tell who observes them (RFC 7641).

import { Code, OptionNumber, uintOption } from '../../../../src/protocols/coap/codec/index.ts';
import { answer, bytesOf, content, Format, number, wantsOther } from './resource.ts';

import type { CoapResponse, Reply } from '../../../../src/protocols/coap/exchange.ts';
import type { Exchange, Link, Resource } from './resource.ts';

type Observer = { readonly reply: Reply; isBusy: boolean; isBehind: boolean };

export class Observed implements Resource {
  readonly path: string;
  readonly #confirmable: boolean;
  readonly #text: (count: number) => string;
  readonly #maxAgeSec: number;
  readonly #observers = new Set<Observer>();
  #sequence = 1;
  #payload: Uint8Array;
  #format: number = Format.text;

  /** `text`: what it says at each of its changes. */
  constructor(path: string, confirmable: boolean, maxAgeSec: number, text: (count: number) => string) {
    this.path = path;
    this.#confirmable = confirmable;
    this.#maxAgeSec = maxAgeSec;
    this.#text = text;
    this.#payload = bytesOf(text(this.#sequence));
  }

  links(): Link[] {
    return [{ href: this.path, attributes: { title: 'Changes by itself', rt: 'observe', obs: '' } }];
  }

  /** It has changed by itself. */
  tick(): void {
    this.#change(bytesOf(this.#text(this.#sequence)), Format.text);
  }

  /** Nobody observes it any more, and is told so where there is a code for it. */
  clear(code: number | undefined): void {
    for (const { reply } of [...this.#observers]) if (code !== undefined) reply.send(answer(code));
    this.#observers.clear();
  }

  readonly get = ({ request, reply }: Exchange): void => {
    if (wantsOther(request, this.#format)) {
      reply.send(answer(Code.notAcceptable));
      return;
    }
    if (number(request, OptionNumber.observe) !== 0) {
      reply.send(this.#representation());
      return;
    }
    const observer: Observer = { reply, isBusy: false, isBehind: false };
    reply.onGone = () => this.#observers.delete(observer);
    this.#observers.add(observer);
    this.#notify(observer);
  };

  readonly put = ({ request, reply }: Exchange): void => {
    const format = number(request, OptionNumber.contentFormat);
    if (format === undefined) {
      reply.send(answer(Code.badRequest, [], 'Content-Format is missing'));
      return;
    }
    // RFC 7641 §4.2: what they asked for is not to be had any more.
    if (format !== this.#format) this.clear(Code.notAcceptable);
    reply.send(answer(Code.changed));
    this.#change(request.message.payload, format);
  };

  readonly delete = ({ reply }: Exchange): void => {
    this.clear(Code.notFound);
    reply.send(answer(Code.deleted));
  };

  #change(payload: Uint8Array, format: number): void {
    this.#payload = payload;
    this.#format = format;
    this.#sequence = (this.#sequence + 1) & 0xff_ffff;
    for (const observer of this.#observers) this.#notify(observer);
  }

  #notify(observer: Observer): void {
    observer.isBehind = observer.isBusy;
    if (observer.isBusy) return;
    observer.isBusy = true;
    observer.reply.notify(this.#representation(uintOption(OptionNumber.observe, this.#sequence)), this.#confirmable, (result) => {
      observer.isBusy = false;
      // RFC 7641 §4.2, §4.5: who rejects it, or does not acknowledge it, is interested no more.
      if (result === 'rejected' || result === 'lost') this.#observers.delete(observer);
      else if (observer.isBehind && this.#observers.has(observer)) this.#notify(observer);
    });
  }

  #representation(...more: ReturnType<typeof uintOption>[]): CoapResponse {
    return content(this.#payload, this.#format, [uintOption(OptionNumber.maxAge, this.#maxAgeSec), ...more]);
  }
}
