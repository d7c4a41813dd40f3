// RFC 7959, RFC 8323 §6, RFC 9175 §3 and RFC 9177: what blocks demand of a server, and of a client that asks devices.

export const blockStatements = `
  7959/2.2-1 a block size exponent of 7 is refused with 4.00 over UDP
  7959/2.2-2 a block that is not the last is as long as its size says
  7959/2.2-3 the flag "more" of a Block2 option in a request is ignored
  7959/2.3-1 the answer to a block of a request has the Block1 option of that block
  7959/2.4-1 blocks of an answer are not larger than was asked for
  7959/2.4-2 who asks for smaller blocks than before gets them from where it stands
  7959/2.4-3 an answer that goes in blocks has an ETag, so that blocks of different representations are not put together
  7959/2.4-4 a client does not put blocks together whose ETags differ
  7959/2.4-5 any block may be asked for by itself
  7959/2.5-1 the body of a request has its effect once and whole, or none
  7959/2.5-2 the first block begins anew what was not complete
  7959/2.5-3 bodies of different endpoints, and of different requests of one, are kept apart
  7959/2.5-4 a server may ask for smaller blocks in its first answer
  7959/2.5-5 a client takes up the smaller size that it is asked for
  7959/2.6-1 a notification that is too large begins with its first block; the rest is asked for without Observe
  7959/2.6-2 a client fetches the rest of a notification, unless a newer one comes
  7959/2.7-1 a request and its answer may both go in blocks; the answer begins with the last block of the request
  7959/2.9.1-1 a block that is not the last is answered 2.31
  7959/2.9.2-1 a body of which blocks are missing is answered 4.08
  7959/2.9.2-2 blocks with different Content-Formats are not of one body: 4.08
  7959/2.9.3-1 too large a body is answered 4.13, with Size1
  7959/2.9.3-2 a client that is answered 4.13 with a smaller block size begins anew with that
  7959/4-1 the first block of an answer tells its size, the first of a request that of its body
  7959/7.1-1 what is kept of transfers is bounded, and not for ever
  8323/6-1 over reliable transports a message may carry several blocks of 1024 bytes
  8323/6-2 several blocks go out only to who takes larger messages than every peer does
  9175/3.3-1 blocks with different Request-Tags are of different bodies; what is in the tag does not matter
  9175/3.5-1 a client gives bodies that may be under way at one time different tags
  9175/3.8-1 answers in blocks are told apart by ETags that are not used again for others
  9177/4.1-1 Q-Block and Block in one message are refused with 4.02
  9177/4.1-2 a server without Q-Block refuses its options as unknown critical ones
  9177/4.3-1 a request with Q-Block1 and without Request-Tag or Size1 is refused with 4.00
  9177/4.3-2 a block that comes again is not a body of its own, and is answered like the first
  9177/4.3-3 2.31 is for whole sets of blocks that are not confirmable, never for each block
  9177/4.3-4 too large a body is refused with 4.13
  9177/4.3-5 a Reset to 4.08 ends the body
  9177/4.4-1 a block that is asked for several times in one request is sent once
  9177/4.4-2 Q-Block2 options that do not ascend are refused with 4.00
  9177/4.4-3 all blocks of an answer have one ETag, and the exact size
  9177/4.4-4 blocks that were lost are given again, of the same body
  9177/4.5-1 all blocks of a notification have its Observe, those sent again have none
  9177/4.5-2 blocks of a notification that were lost can be asked for like those of an answer
  9177/4.7-1 a request and its answer may both go by Q-Block
  9177/4.8-1 a request to a group with Q-Block2 is ignored
  9177/5-1 missing blocks are told ascending, once each, as application/missing-blocks+cbor-seq
  9177/7.1-1 confirmable blocks keep to NSTART and the repetitions of RFC 7252
  9177/5-2 a list of missing blocks fits into one packet
  9177/7.2-5 NON_RECEIVE_TIMEOUT is a second more than NON_TIMEOUT_RANDOM at least
  9177/7.2-1 a set is followed by the next after NON_TIMEOUT_RANDOM, or at once when it is asked for
  9177/7.2-6 blocks that were missing go before the next set, which then waits NON_TIMEOUT_RANDOM anew
  9177/7.2-2 missing blocks are asked for after NON_RECEIVE_TIMEOUT, then after twice as long, NON_MAX_RETRANSMIT times at most
  9177/7.2-4 bodies to a peer that does not answer are not more than PROBING_RATE or NON_PROBING_WAIT allow
  9177/7.2-3 when a later set begins, what is missing of those before is asked for
`;
