// The layer of OSCORE (RFC 8613): a request that is protected is opened, and handed on as what is inside, with whom its security
// context belongs to; what is answered goes back sealed. Whatever comes in clear passes as it is.
//
//   option and payload → which contexts → opened with one of them → new? → inner request → next layer
//
// Nothing moves, in memory or on disk, before a request has been opened. Answers in clear are errors, which the transport does not send
// to who asked a group.

import type {
  OpenedRequest,
  OscoreBinding,
  OscoreContext,
  OscoreContexts,
  OscoreFault,
  SealedResponse,
} from '../../../security/oscore/oscore.ts';
import { isRequest } from '../codec/codes.ts';
import { ascending } from '../codec/message-body.ts';
import { Code, type CoapOption } from '../codec/message.ts';
import { emptyOption, noBytes, textBytes, uintOption } from '../codec/option-values.ts';
import { OptionNumber, optionValue } from '../codec/options.ts';
import type { CoapPeer, CoapRequest, CoapResponse, NotificationResult, Reply, RequestHandler } from '../exchange.ts';
import { isUnwanted, unwantedClasses } from '../transport/no-response.ts';
import { readOscoreOption, oscoreOptionValue, type OscoreOption } from './oscore-option.ts';
import { OscorePeer } from './oscore-peer.ts';
import { openedOptions, readPlaintext, writePlaintext } from './plaintext.ts';

type Protected = { readonly request: CoapRequest; readonly reply: Reply; readonly option: OscoreOption };

/** RFC 8613 §8.2: answers in clear; nothing is told that the request does not tell itself. Not to be kept by a cache. */
const refusals: Readonly<Record<OscoreFault, CoapResponse>> = {
  malformed: inClear(Code.badOption, 'Failed to decode COSE'),
  'unknown-context': inClear(Code.unauthorized, 'Security context not found'),
  replay: inClear(Code.unauthorized, 'Replay detected'),
  'decryption-failed': inClear(Code.badRequest, 'Decryption failed'),
};
const comeLater: CoapResponse = { code: Code.serviceUnavailable, options: [uintOption(OptionNumber.maxAge, 1)], payload: noBytes };
const noOuterBlocks = inClear(Code.badOption, 'Block outside of OSCORE');
/** For the transport: nothing is to be sent but what the message itself wants. */
const noAnswer: CoapResponse = { code: Code.empty, options: [], payload: noBytes };

function inClear(code: number, diagnostic: string): CoapResponse {
  return { code, options: [emptyOption(OptionNumber.maxAge)], payload: textBytes(diagnostic) };
}

export class OscoreLayer implements RequestHandler {
  readonly #contexts: OscoreContexts;
  readonly #next: RequestHandler;
  readonly #peers = new WeakMap<CoapPeer, Map<string, OscorePeer>>();

  constructor(contexts: OscoreContexts, next: RequestHandler) {
    this.#contexts = contexts;
    this.#next = next;
  }

  handle(request: CoapRequest, reply: Reply): void {
    const { options, payload } = request.message;
    const value = optionValue(options, OptionNumber.oscore);
    if (value === undefined) return this.#next.handle(request, reply);
    const option = readOscoreOption(value);
    // RFC 8613 §2: without payload it is malformed; §5: a request names its context and has a Partial IV.
    if (option?.kid === undefined || option.piv === undefined || payload.length === 0 || hasTwo(options)) {
      return this.#refuse(request, reply, 'malformed');
    }
    if (hasOuterBlocks(options)) return reply.send(noOuterBlocks);
    this.#contexts.find(option.kid, option.kidContext, (found) => {
      if (found === 'unavailable') return reply.send(comeLater);
      this.#open({ request, reply, option }, found);
    });
  }

  /** With the first context that opens it. */
  #open(asked: Protected, found: readonly OscoreContext[]): void {
    const { request, reply, option } = asked;
    let fault: OscoreFault = 'unknown-context';
    for (const context of found) {
      const opened = context.openRequest(option.kid!, option.piv!, request.message.payload);
      if (typeof opened !== 'string') return this.#judge(asked, context, opened);
      // What was accepted before was sealed by the device: that tells more than that other contexts do not open it.
      if (fault !== 'replay') fault = opened;
    }
    this.#refuse(request, reply, fault);
  }

  #judge(asked: Protected, context: OscoreContext, opened: OpenedRequest): void {
    const { request, reply } = asked;
    const plain = readPlaintext(opened.plaintext);
    const echo = plain && optionValue(plain.options, OptionNumber.echo);
    context.accept(opened, echo, (acceptance) => {
      switch (acceptance.kind) {
        case 'replay':
          return this.#refuse(request, reply, 'replay');
        case 'unavailable':
          return reply.send(comeLater);
        case 'challenge':
          return sendUnauthorized(
            request,
            reply,
            context,
            opened.binding,
            [{ number: OptionNumber.echo, value: acceptance.echo }],
            undefined,
          );
        case 'rederive':
          return sendUnauthorized(request, reply, acceptance.context, opened.binding, [], acceptance.kidContext);
        case 'fresh':
          break;
      }
      const way = new OscoreReply(reply, context, opened.binding, request, plain && unwantedClasses(plain.options));
      if (plain === undefined || !isRequest(plain.code)) {
        this.#contexts.refused('malformed', request.peer.facts);
        return way.send({ code: Code.badRequest, options: [], payload: noBytes });
      }
      const options = openedOptions(plain.options, request.message.options);
      const message = { code: plain.code, token: request.message.token, options, payload: plain.payload };
      this.#next.handle({ ...request, message, peer: this.#peer(request.peer, context), oscore: context.name }, way);
    });
  }

  /** One for each context, as long as the peer lives: those above tell peers apart by it. */
  #peer(under: CoapPeer, context: OscoreContext): CoapPeer {
    const { tenant, contextId } = context.name;
    const key = `${tenant}/${contextId}`;
    let peers = this.#peers.get(under);
    if (peers === undefined) this.#peers.set(under, (peers = new Map<string, OscorePeer>()));
    let peer = peers.get(key);
    if (peer !== undefined && !peer.isGone) return peer;
    peer = new OscorePeer(under, context.name, this.#contexts, () => {
      if (peers.get(key) === peer) peers.delete(key);
    });
    peers.set(key, peer);
    return peer;
  }

  #refuse(request: CoapRequest, reply: Reply, fault: OscoreFault): void {
    this.#contexts.refused(fault, request.peer.facts);
    reply.send(refusals[fault]);
  }
}

/**
 * RFC 8613 appendix B.1.2: with a nonce of its own, for an answer under the request's may have gone out before a crash. Under keys that
 * nobody had before (B.2) the request's can be used, and must be for Californium, which looks at no other there.
 */
function sendUnauthorized(
  request: CoapRequest,
  reply: Reply,
  context: OscoreContext,
  binding: OscoreBinding,
  options: readonly CoapOption[],
  kidContext: Uint8Array | undefined,
): void {
  const ownNonce = kidContext === undefined;
  context.sealResponse(binding, writePlaintext(Code.unauthorized, options, noBytes), ownNonce, (sealed) => {
    reply.send(sealed === undefined ? comeLater : sealedResponse(request, { ...sealed, kidContext }, undefined));
  });
}

/** RFC 8613 §4.2: a proxy learns nothing but whether it may be an observation. */
function sealedResponse(
  { message }: CoapRequest,
  { piv, ciphertext, kidContext }: SealedResponse & { readonly kidContext?: Uint8Array | undefined },
  observe: CoapOption | undefined,
): CoapResponse {
  const option = { number: OptionNumber.oscore, value: oscoreOptionValue({ piv, kid: undefined, kidContext }) };
  return {
    code: message.code === Code.fetch ? Code.content : Code.changed,
    options: observe === undefined ? [option] : [observe, option],
    payload: ciphertext,
  };
}

function hasTwo(options: readonly CoapOption[]): boolean {
  return options.filter(({ number }) => number === OptionNumber.oscore).length > 1;
}

/** RFC 8613 §4.1.3.4.2: cut by a proxy. What is whole in its first block is none the worse for it. */
function hasOuterBlocks(options: readonly CoapOption[]): boolean {
  return options.some(({ number, value }) => {
    if (number === OptionNumber.qBlock1 || number === OptionNumber.qBlock2) return true;
    if (number !== OptionNumber.block1 && number !== OptionNumber.block2) return false;
    const isFirst = value.length === 0 || (value.length === 1 && value[0]! >>> 4 === 0);
    const hasMore = value.length > 0 && (value.at(-1)! & 0x08) !== 0;
    return !isFirst || hasMore;
  });
}

/** Seals what goes back. The request's nonce is for one answer; all others have one of their own. */
class OscoreReply implements Reply {
  readonly #under: Reply;
  readonly #context: OscoreContext;
  readonly #binding: OscoreBinding;
  readonly #request: CoapRequest;
  readonly #unwanted: number;
  #isNonceUsed = false;
  #isOver = false;

  constructor(under: Reply, context: OscoreContext, binding: OscoreBinding, request: CoapRequest, unwanted: number | undefined) {
    this.#under = under;
    this.#context = context;
    this.#binding = binding;
    this.#request = request;
    this.#unwanted = unwanted ?? 0;
  }

  get onGone(): (() => void) | undefined {
    return this.#under.onGone;
  }

  set onGone(task: (() => void) | undefined) {
    this.#under.onGone = task;
  }

  send(response: CoapResponse): void {
    if (this.#isOver) return;
    this.#isOver = true;
    if (this.#isSuppressed(response)) return this.#under.send(noAnswer);
    this.#seal(response, this.#isNonceUsed, (sealed) => this.#under.send(sealed ?? comeLater));
  }

  sendConfirmed(response: CoapResponse, done: (result: NotificationResult) => void): void {
    if (this.#isOver) return done('lost');
    this.#isOver = true;
    if (this.#isSuppressed(response)) return this.#under.sendConfirmed(noAnswer, done);
    this.#seal(response, this.#isNonceUsed, (sealed) => this.#under.sendConfirmed(sealed ?? comeLater, done));
  }

  notify(response: CoapResponse, confirmable: boolean, done: (result: NotificationResult) => void): void {
    if (this.#isOver) return done('lost');
    // RFC 8613 §4.1.3.5.2: notifications are told apart by their Partial IVs.
    this.#seal(response, true, (sealed) => {
      if (sealed === undefined) done('lost');
      else this.#under.notify(sealed, confirmable, done);
    });
  }

  /** RFC 7967 §2: the transport sees only that it is an answer. */
  #isSuppressed({ code }: CoapResponse): boolean {
    return code === Code.empty || isUnwanted(this.#unwanted, code);
  }

  #seal({ code, options, payload }: CoapResponse, ownNonce: boolean, then: (sealed: CoapResponse | undefined) => void): void {
    this.#isNonceUsed = true;
    const outerObserve = options.find(({ number }) => number === OptionNumber.observe);
    // RFC 8613 §4.1.3.5.2: the number is outside, inside it is only told that it is a notification.
    const inner = outerObserve === undefined ? options : options.map(emptiedObserve);
    this.#context.sealResponse(this.#binding, writePlaintext(code, ascending(inner), payload), ownNonce, (sealed) =>
      then(sealed && sealedResponse(this.#request, sealed, outerObserve)),
    );
  }
}

function emptiedObserve(option: CoapOption): CoapOption {
  return option.number === OptionNumber.observe ? emptyOption(OptionNumber.observe) : option;
}
