// What STOMP 1.2 (22 October 2012) demands of a server. The specification does not number its statements: a number here is that of the
// chapter, in its order, and a count of ours; the words are ours, too.

export const statements: ReadonlyMap<string, string> = new Map(
  `
  1.1 commands and headers are UTF-8
  1.2 a line ends with LF, before which a CR may stand
  1.3 any number of line ends may follow a frame
  1.4 CR, LF, colon and backslash are escaped in headers, but not in CONNECT and CONNECTED
  1.5 an undefined escape sequence is a fatal error
  1.6 only SEND, MESSAGE and ERROR have a body
  1.7 a frame with content-length is as long as that, zeros included
  1.8 SEND, MESSAGE and ERROR of the server say content-length, and content-type where there is one
  1.9 any frame of a client but CONNECT may ask for a receipt
  1.10 of repeated headers the first counts
  1.11 the sizes of frames, headers and bodies may be limited; beyond that an ERROR ends the connection
  1.12 spaces belong to a header's value
  2.1 CONNECT is answered with CONNECTED or refused with ERROR
  2.2 STOMP is taken as CONNECT is
  2.3 CONNECTED says which version
  2.4 the highest common version is chosen
  2.5 without a common version an ERROR names those there are, and the connection ends
  2.6 login and passcode prove who a client is
  2.7 heart-beats are agreed on as the larger of what one side can and the other wants; 0 is none
  2.8 something is sent within the agreed time, if only a line end
  2.9 who is silent for longer is taken for lost, with a margin
  3.1 SEND goes to a destination, with headers of the client's own
  3.2 what cannot be sent ends the connection with an ERROR
  3.3 a SEND with a transaction counts when that commits
  3.4 SUBSCRIBE has an id, different among those of a connection
  3.5 MESSAGE names its subscription, a message-id and its destination
  3.6 auto: no ACK is awaited
  3.7 client: an ACK counts for all messages before, too
  3.8 client-individual: an ACK counts for one
  3.9 MESSAGE has the header ack where it is to be acknowledged
  3.10 what was not acknowledged when a connection ends is delivered again
  3.11 UNSUBSCRIBE ends a subscription by its id
  3.12 ACK and NACK may be part of a transaction
  3.13 NACK says that a message was not consumed
  3.14 BEGIN names a transaction, unlike those that are open
  3.15 COMMIT does everything, ABORT nothing of it
  3.16 a transaction is aborted when its connection ends
  3.17 DISCONNECT with a receipt is answered when all before it was processed
  3.18 frames after DISCONNECT are not processed
  4.1 MESSAGE carries the headers that its SEND had
  4.2 RECEIPT names the receipt when the frame was processed
  4.3 ERROR says why, names the receipt of the frame at fault, and the connection ends after it
  `
    .trim()
    .split('\n')
    .map((line) => {
      const [, id, words] = /^\s*(\d+\.\d+) (.+)$/.exec(line)!;
      return [id!, words!] as const;
    }),
);

/** Statements that are not kept, and why. */
export const deviations: Readonly<Record<string, string>> = {};
