// RFC 7252 §2 to §5 and §8, RFC 7641 §3 and §4, RFC 7967, RFC 8974, RFC 9175 §2: what the message layer over datagrams must do.

export const messageStatements = `
  7252/3-1 a message of another version is ignored in silence
  7252/3-2 a token length of 15 is a message format error
  7252/3-3 a marker without payload behind it is a message format error
  7252/3-4 a delta or length of 15 that is no marker is a message format error
  7252/3-5 options come in the order of their numbers
  7252/4.1-1 an empty message has no token and nothing behind its message id; else it is a message format error
  7252/4.2-1 a confirmable request is acknowledged, or rejected by a Reset
  7252/4.2-2 an acknowledgement or Reset echoes the message id
  7252/4.2-3 an acknowledgement carries a response or is empty, and a Reset is empty
  7252/4.2-4 what cannot be processed of confirmable messages is rejected: format errors, reserved classes
  7252/4.2-5 acknowledgements and Resets are never answered
  7252/4.2-6 a confirmable message is sent again until it is acknowledged, with doubled pauses, at most MAX_RETRANSMIT times
  7252/4.2-7 the first pause is between ACK_TIMEOUT and that times ACK_RANDOM_FACTOR
  7252/4.2-8 after a Reset, or an acknowledgement, nothing is sent again
  7252/4.3-1 a non-confirmable message is never acknowledged
  7252/4.3-2 a non-confirmable message with a format error is rejected, in silence or by a Reset
  7252/4.3-3 a confirmable empty message is answered by a Reset
  7252/4.4-1 a message id is not used again to the same peer within EXCHANGE_LIFETIME
  7252/4.4-2 that is so for who is sent more than 65,536 messages in that time, too
  7252/4.5-1 each repetition of a confirmable message is answered by the same acknowledgement or Reset
  7252/4.5-2 a request or response in a repeated message is processed once
  7252/4.5-3 a repeated non-confirmable message is ignored
  7252/4.5-4 repetitions are recognised for the whole of EXCHANGE_LIFETIME, however many messages came meanwhile
  7252/4.7-1 no more than NSTART confirmable messages are outstanding to a peer
  7252/4.7-2 who does not answer is not sent more than PROBING_RATE
  7252/5.2.1-1 a piggybacked response is carried by the acknowledgement
  7252/5.2.2-1 when the answer takes longer the acknowledgement goes first, and the response is a message of its own
  7252/5.2.2-2 when an empty acknowledgement was sent no response is piggybacked
  7252/5.2.2-3 the response to a confirmable request that was acknowledged is confirmable
  7252/5.2.3-1 a non-confirmable request is answered by a non-confirmable response
  7252/5.3.1-1 a token is echoed in every response
  7252/5.3.1-2 tokens of requests that are sent are hard to guess, and differ among those to one peer
  7252/5.3.2-1 a piggybacked response fits by message id and token
  7252/5.3.2-2 a response of its own fits by token, and is acknowledged when confirmable
  7252/5.3.2-3 a confirmable response that is not expected is rejected
  7252/5.4.1-1 an unknown elective option is ignored
  7252/5.4.1-2 an unknown critical option in a confirmable request: 4.02
  7252/5.4.1-3 an unknown critical option in a confirmable response: it is rejected
  7252/5.4.1-4 an unknown critical option in a non-confirmable message: it is rejected
  7252/5.4.3-1 an option of a wrong length is as if it were unknown
  7252/5.4.5-1 of an option that may come once each further one is as if it were unknown
  7252/5.10.2-1 a request to forward is answered by 5.05
  7252/8.1-1 a request to a group that is confirmable is not answered
  7252/8.1-2 nothing to a group is answered by a Reset
  7252/8.2-1 errors to requests to groups are not sent
  7252/8.2-2 answers to requests to groups come at a random moment within the leisure
  7641/3.4-1 an older notification does not take the place of a newer one
  7641/3.6-1 a Reset to a notification ends the observation
  7641/4.1-1 a registration with a known token takes the place of the one that is there
  7641/4.2-1 every notification has the token of the registration
  7641/4.5-1 a notification that is not acknowledged ends the observation
  7967/2-1 responses of classes that are not wanted are not sent
  7967/2-2 a confirmable request is acknowledged all the same
  8974/2.2-1 a longer token than is taken is answered with it, not rejected
  8974/2.1-1 tokens up to the told length are echoed
  9175/2.3-1 an Echo value that does not fit, or is old, is as if there were none
  9175/2.4-1 an address that is not proven is sent no large answer, but 4.01 with Echo
  9175/2.4-2 what comes back with the Echo proves the address
`;
