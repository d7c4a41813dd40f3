// OSCORE (RFC 8613) and EST over coaps (RFC 9148): the tests beside their code prove them.

import { beside } from './conforms.ts';

const layer = 'src/protocols/coap/oscore/oscore-layer.test.ts';
const option = 'src/protocols/coap/oscore/oscore-option.test.ts';
const context = 'src/security/oscore/context.test.ts';
const contexts = 'src/security/oscore/contexts.test.ts';
const derivation = 'src/security/oscore/derivation.test.ts';
const est = 'src/protocols/coap/est/est-resource.test.ts';

beside('8613/2-1', option, 'what is malformed is not read');
beside('8613/3.2-1', derivation, 'keys and common IV are those of RFC 8613 appendix C, on both sides');
beside('8613/3.2-1', derivation, 'nonces are those of RFC 8613 appendix C.1, C.4 and C.8');
beside('8613/8.2-3', contexts, 'contexts are found by kid and kid context; kid alone finds all that have it');
beside('8613/8.2-3', layer, 'of several contexts with one kid the one is taken that opens it');
beside('8613/4.1-1 8613/4.2-1', layer, 'what is asked and answered is inside; what proxies need stays outside');
beside('8613/4.1-2', layer, 'what stands outside, and was not sealed, changes nothing');
beside('8613/4.1.3.5-1', layer, 'a proxy that does not observe is not sent notifications');
beside('8613/5.2-1', layer, 'of two answers to one request only the first has its nonce');
beside('8613/7.5.1-1', context, 'numbers that are sent never come again, however often it crashes');
beside('8613/7.2.1-1', context, 'the last number ends it');
beside('8613/7.4-1', context, 'a request is accepted when that is durable, and never twice');
beside('8613/7.4-1', 'src/security/oscore/replay-window.test.ts', 'nothing is new twice, and what is in the window is new once');
beside('8613/7.4.1-1', layer, 'notifications are numbered, older ones and forged ones are dropped, and the last answer ends it');
beside(
  '8613/7.5.2-1 8613/b.1.2-1',
  context,
  'after a crash a device proves by an Echo that its request is new; what it sent before is not taken',
);
beside('8613/8.2-1', layer, 'errors are those of RFC 8613 §8.2, and nobody learns more');
beside('8613/8.2-2', layer, 'what is inside and no request is refused, sealed');
beside('8613/8.4-1', layer, 'a device that is asked under a context answers under it, or the request has failed');
beside('8613/b.2-1', contexts, 'a device derives fresh keys, and uses them however it names them');

beside('9148/3-1', est, 'only who shows a certificate on coaps is given one');
beside('9148/4.3-1', est, 'crts gives the authorities, att what is asked of requests');
beside('9148/4.3-2 9148/4.5-1', est, 'sen and sren give a certificate, as PKCS #7 or by itself');
beside('9148/4.3-2 9148/4.5-1 9148/4.1-2', est, 'what is asked in another way is refused by its code, and nothing is spent');
beside('9148/4.7-1', est, 'who is given too many is told when to come again, and mistakes are counted as over HTTPS');
beside('9148/4.8-1', est, 'skg and skc bring a key that is made here, where that is switched on');
