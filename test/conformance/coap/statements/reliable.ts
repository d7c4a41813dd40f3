// RFC 8323 and RFC 8974 §2.2.1: what CoAP over TCP, TLS and WebSocket must do.

export const reliableStatements = `
  8323/3.2-1 messages are delimited by their length, in each of its forms
  8323/3.4-1 an empty message is ignored
  8323/3.4-2 a response has the token of its request
  8323/4.1-1 the subprotocol of WebSocket is coap
  8323/4.2-1 over WebSocket each message is one of CoAP, and its length is zero
  8323/5.3-1 a CSM is the first message that is sent
  8323/5.3-2 a CSM is the first message that is taken; else the connection ends by Abort
  8323/5.3-3 an unknown critical option of a CSM ends the connection, and is named
  8323/5.3-4 an unknown elective option of a CSM is ignored
  8323/5.3-5 a later CSM adds to what was said
  8323/5.3.1-1 the largest message is told, and nothing larger is sent than was told; at first 1152 bytes
  8323/5.3.2-1 it is told that blocks are taken
  8323/5.4-1 a Ping is answered by a Pong with its token
  8323/5.4-2 where custody is asked for the Pong waits for what was asked before, and says so
  8323/5.5-1 behind a Release what was asked is answered, and nothing new is taken
  8323/5.5-2 the node says Release before it closes
  8323/5.6-1 what cannot be understood ends the connection by Abort, with its reason
  8323/5.6-2 behind an Abort nothing is sent
  8323/7.1-1 the order of notifications is that in which they come
  8323/7.4-1 an observation ends with the connection
  8974/2.2.1-1 the longest token is told by an option of the CSM
`;
