// RFC 8613 (OSCORE) and RFC 9148 (EST over coaps).

export const securityStatements = `
  8613/2-1 an OSCORE option without payload, or with flags that are reserved, is malformed
  8613/3.2-1 keys, common IV and nonces are derived as the appendix says
  8613/8.2-3 contexts are found by kid and kid context, and several with one kid are each tried
  8613/4.1-1 options for the endpoint are sealed; those for proxies stay outside
  8613/4.1-2 an option outside that belongs inside changes nothing
  8613/4.1.3.4-1 blocks outside are put together before what they carry is opened
  8613/4.1.3.5-1 an observation wants Observe inside and outside
  8613/4.2-1 the code outside tells a proxy nothing but whether it may be an observation
  8613/5.2-1 no nonce is used twice: one answer has the request's, all others their own
  8613/7.5.1-1 numbers that are sent never come again, whatever happens to the node
  8613/7.4-1 a request is accepted once
  8613/7.4.1-1 a client takes only notifications with a higher number
  8613/7.5.2-1 after a crash nothing is accepted that may have been before
  8613/7.2.1-1 the last number ends the context
  8613/8.2-1 errors before opening go in clear: 4.02, 4.01, 4.00, and are not kept by caches
  8613/8.2-2 what goes wrong after opening is answered sealed
  8613/8.4-1 a client takes no answer in clear, nor one of another context
  8613/b.1.2-1 an Echo proves that a request is new when the window is lost
  8613/b.2-1 fresh keys are derived where that is allowed
  9148/3-1 enrolment is only over DTLS or TLS, for who shows a certificate
  9148/4.1-1 the functions are told by their types at /.well-known/core
  9148/4.3-1 crts gives the authorities in PKCS #7, or alone to who asks for that
  9148/4.3-2 sen and sren take PKCS #10, else 4.15, and give PKCS #7 or the certificate alone, else 4.06
  9148/4.5-1 GET is answered 2.05, POST 2.04, and errors by the codes of CoAP
  9148/4.7-1 who must wait is told by 5.03 and Max-Age
  9148/4.8-1 skg and skc give key and certificate as multipart-core; where keys are not made: 5.01
  9148/4.1-2 the short paths are the only ones
`;
