// A peer as whoever has a security context: requests to it are sealed, and what it answers is opened (RFC 8613 §8.1, §8.4).

import type { OscoreBinding, OscoreContext, OscoreContexts } from '../../../security/oscore/oscore.ts';
import type { OscoreContextName } from '../../../security/security.ts';
import type { WireFacts } from '../../protocol.ts';
import { ascending } from '../codec/message-body.ts';
import { Code, type CoapOption } from '../codec/message.ts';
import { OptionNumber, optionValue, withOption, withoutOption } from '../codec/options.ts';
import type { CoapPeer, CoapResponse, OutgoingRequest, RequestFailure } from '../exchange.ts';
import { oscoreOptionValue, readOscoreOption } from './oscore-option.ts';
import { isOuterOnly, readPlaintext, writePlaintext } from './plaintext.ts';

/** The option with Partial IV, kid and kid context, the tag, the outer Observe; with the longest ids. */
const overheadBytes = 72;
/** A device that has forgotten its window asks once for proof (RFC 8613 appendix B.1.2). */
const maxTries = 2;

type Answer = (result: CoapResponse | RequestFailure) => void;

export class OscorePeer implements CoapPeer {
  readonly #under: CoapPeer;
  readonly #name: OscoreContextName;
  readonly #contexts: OscoreContexts;
  readonly #closed: () => void;
  readonly #tasks: (() => void)[] = [];
  #isGone = false;

  constructor(under: CoapPeer, name: OscoreContextName, contexts: OscoreContexts, closed: () => void) {
    this.#under = under;
    this.#name = name;
    this.#contexts = contexts;
    this.#closed = closed;
    under.whenGone(() => this.close());
  }

  get facts(): WireFacts {
    return this.#under.facts;
  }

  get isReliable(): boolean {
    return this.#under.isReliable;
  }

  get isProven(): boolean {
    return this.#under.isProven;
  }

  get maxMessageBytes(): number {
    return this.#under.maxMessageBytes - overheadBytes;
  }

  get isGone(): boolean {
    return this.#isGone;
  }

  request(request: OutgoingRequest, answer: Answer): () => void {
    if (this.#isGone) {
      answer({ failure: 'gone' });
      return () => {};
    }
    const exchange = new SealedExchange(this.#under, request, answer);
    this.#contexts.named(this.#name, (context) => exchange.start(context));
    return () => exchange.cancel();
  }

  whenGone(task: () => void): void {
    if (this.#isGone) task();
    else this.#tasks.push(task);
  }

  /** Others may speak by the same path, through a proxy: it stays. */
  close(): void {
    if (this.#isGone) return;
    this.#isGone = true;
    this.#closed();
    for (const task of this.#tasks.splice(0)) task();
  }
}

/** One request of ours and its answers. */
class SealedExchange {
  readonly #under: CoapPeer;
  readonly #request: OutgoingRequest;
  readonly #answer: Answer;
  readonly #isObservation: boolean;
  #cancel: (() => void) | undefined;
  #isOver = false;
  #tries = 0;
  /** Of an observation: the number of the newest notification (RFC 8613 §7.4.1). */
  #newest = -1;

  constructor(under: CoapPeer, request: OutgoingRequest, answer: Answer) {
    this.#under = under;
    this.#request = request;
    this.#answer = answer;
    this.#isObservation = optionValue(request.options, OptionNumber.observe)?.length === 0;
  }

  start(context: OscoreContext | undefined, echo?: Uint8Array): void {
    if (this.#isOver) return;
    this.#tries++;
    if (context === undefined) return this.#end({ failure: 'gone' });
    const { code, payload, confirmable } = this.#request;
    const options = ascending(this.#request.options);
    const own = options.filter(({ number }) => !isOuterOnly(number));
    const inner = echo === undefined ? own : withOption(withoutOption(own, OptionNumber.echo), { number: OptionNumber.echo, value: echo });
    context.sealRequest(writePlaintext(code, inner, payload), (sealed) => {
      if (this.#isOver) return;
      if (sealed === undefined) return this.#end({ failure: 'full' });
      const { piv, kid, kidContext, ciphertext, binding } = sealed;
      const value = oscoreOptionValue({ piv, kid, kidContext });
      const hasObserve = options.some(({ number }) => number === OptionNumber.observe);
      const outer: CoapOption[] = options.filter(({ number }) => isOuterOnly(number) || number === OptionNumber.observe);
      // RFC 8613 §4.2.
      const outerCode = hasObserve ? Code.fetch : Code.post;
      const sent = {
        code: outerCode,
        options: withOption(outer, { number: OptionNumber.oscore, value }),
        payload: ciphertext,
        confirmable,
      };
      const tries = this.#tries;
      const cancel = this.#under.request(sent, (result) => this.#answered(context, binding, result));
      // The answer may be there already, and have led to the next try.
      if (this.#tries === tries) this.#cancel = cancel;
      if (this.#isOver) this.#cancel?.();
    });
  }

  cancel(): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#cancel?.();
  }

  #end(result: CoapResponse | RequestFailure): void {
    this.#isOver = true;
    this.#answer(result);
  }

  #answered(context: OscoreContext, binding: OscoreBinding, result: CoapResponse | RequestFailure): void {
    if (this.#isOver) return;
    if ('failure' in result) return this.#end(result);
    const value = optionValue(result.options, OptionNumber.oscore);
    const option = value && readOscoreOption(value);
    // RFC 8613 §8.4: what is not protected may be from anybody; an error in clear means that the device cannot open what it was sent.
    if (option === undefined) return this.#fail();
    const plaintext = context.openResponse(binding, option.piv, result.payload);
    const plain = plaintext && readPlaintext(plaintext);
    if (plain === undefined) return this.#fail();
    const isNotification = this.#isObservation && plain.options.some(({ number }) => number === OptionNumber.observe);
    if (isNotification && !this.#isNewer(option.piv)) return;
    const echo = optionValue(plain.options, OptionNumber.echo);
    if (plain.code === Code.unauthorized && echo !== undefined && this.#tries < maxTries) {
      this.#cancel?.();
      return this.start(context, echo);
    }
    const outerObserve = result.options.filter(({ number }) => number === OptionNumber.observe);
    const inner = plain.options.filter(({ number }) => number !== OptionNumber.observe);
    const response = { code: plain.code, options: isNotification ? ascending([...outerObserve, ...inner]) : inner, payload: plain.payload };
    if (isNotification) this.#answer(response);
    else {
      this.#cancel?.();
      this.#end(response);
    }
  }

  #isNewer(piv: Uint8Array | undefined): boolean {
    // The first one may have none.
    if (piv === undefined) return this.#newest === -1;
    let number = 0;
    for (const byte of piv) number = number * 256 + byte;
    if (number <= this.#newest) return false;
    this.#newest = number;
    return true;
  }

  #fail(): void {
    // A forged notification must not end an observation.
    if (this.#isObservation && this.#newest >= 0) return;
    this.#cancel?.();
    this.#end({ failure: 'reset' });
  }
}
