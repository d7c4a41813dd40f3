// Every numbered statement of MQTT 3.1.1 (OASIS Standard with Errata 01, Appendix B): 141.
//
// The numbers were checked against an index extracted from the published HTML (139: it lacks 3.1.2-7 and 3.8.3-4, whose
// labels are misprinted there as `MQTT-3.1.2.7` and `MQTT-3-8.3-4`). Within each section they run without a gap.

import { readStatements } from './statement.ts';

import type { Standard } from './statement.ts';

export const mqtt311: Standard = {
  name: 'MQTT 3.1.1',
  statements: readStatements(`
    1.5.3-1 B strings are well-formed UTF-8 without surrogates; who receives another closes the connection
    1.5.3-2 B no U+0000 in a string; who receives it closes the connection
    1.5.3-3 B a byte order mark in a string is kept
    2.2.2-1 B reserved flag bits have the listed value
    2.2.2-2 B who receives invalid flags closes the connection
    2.3.1-1 B SUBSCRIBE, UNSUBSCRIBE and PUBLISH above QoS 0 carry a packet identifier that is not 0
    2.3.1-2 C a new packet gets an identifier that is not in use
    2.3.1-3 C a repeated packet keeps its identifier
    2.3.1-4 S the same holds for what the server publishes above QoS 0
    2.3.1-5 B no packet identifier in a PUBLISH of QoS 0
    2.3.1-6 B PUBACK, PUBREC and PUBREL carry the identifier of the PUBLISH
    2.3.1-7 S SUBACK and UNSUBACK carry the identifier of the request
    3.1.0-1 C the first packet is CONNECT
    3.1.0-2 S a second CONNECT is a violation and disconnects the client
    3.1.2-1 S with a wrong protocol name, a CONNECT is not processed by this standard
    3.1.2-2 S an unsupported level is answered with return code 1, then closed
    3.1.2-3 S the reserved connect flag must be 0, else the client is disconnected
    3.1.2-4 B clean session 0 resumes the session, or makes one, which outlives the connection
    3.1.2-5 S a stored session collects further QoS 1 and 2 messages while its client is away
    3.1.2-6 B clean session 1 discards what was before and leaves nothing behind
    3.1.2-7 S retained messages are not part of a session and survive its end
    3.1.2-8 S a will is kept and published when the connection ends without DISCONNECT
    3.1.2-9 C with the will flag, topic and message are in the payload
    3.1.2-10 S a will is forgotten once published, or on DISCONNECT
    3.1.2-11 C without the will flag, its QoS and retain bits are 0 and its fields absent
    3.1.2-12 S without the will flag nothing is published when the connection ends
    3.1.2-13 C without the will flag, will QoS is 0
    3.1.2-14 C will QoS is not 3
    3.1.2-15 C without the will flag, will retain is 0
    3.1.2-16 S will retain 0 publishes a will that is not retained
    3.1.2-17 S will retain 1 publishes a retained will
    3.1.2-18 C no user name without its flag
    3.1.2-19 C a user name with its flag
    3.1.2-20 C no password without its flag
    3.1.2-21 C a password with its flag
    3.1.2-22 C no password flag without the user name flag
    3.1.2-23 C PINGREQ within the keep-alive time when there is nothing else to send
    3.1.2-24 S silence for one and a half keep-alive times closes the connection as if the network had failed
    3.1.3-1 C fields of the payload come in their order
    3.1.3-2 B the client identifier names the session on both sides
    3.1.3-3 C the client identifier is there and first
    3.1.3-4 C the client identifier is UTF-8
    3.1.3-5 S identifiers of 1 to 23 letters and digits are allowed
    3.1.3-6 S an empty identifier, if allowed, is replaced by a unique one
    3.1.3-7 C an empty identifier needs clean session 1
    3.1.3-8 S an empty identifier with clean session 0 is refused with 2 and closed
    3.1.3-9 S a rejected identifier is refused with 2 and closed
    3.1.3-10 C the will topic is UTF-8
    3.1.3-11 C the user name is UTF-8
    3.1.4-1 S a CONNECT that does not conform closes the connection without a CONNACK
    3.1.4-2 S a connected client of the same identifier is disconnected
    3.1.4-3 S clean session is processed as described
    3.1.4-4 S an accepted CONNECT is answered with return code 0
    3.1.4-5 S nothing after a rejected CONNECT is processed
    3.2.0-1 S the first packet from the server is CONNACK
    3.2.2-1 S clean session 1 is answered with session present 0
    3.2.2-2 S clean session 0 with stored state is answered with session present 1
    3.2.2-3 S without stored state session present is 0
    3.2.2-4 S a refusal has session present 0
    3.2.2-5 S a refusal closes the connection
    3.2.2-6 S when no return code fits, close without CONNACK
    3.3.1-1 B DUP is 1 on a repeated delivery
    3.3.1-2 B DUP is 0 at QoS 0
    3.3.1-3 S DUP going out does not depend on DUP coming in
    3.3.1-4 B QoS 3 is never sent, and closes the connection when received
    3.3.1-5 S a retained PUBLISH is stored with its QoS for later subscribers
    3.3.1-6 S a new subscription gets the last retained message of each matching topic
    3.3.1-7 S a retained PUBLISH of QoS 0 replaces what was retained
    3.3.1-8 S RETAIN is 1 on what a new subscription gets from the store
    3.3.1-9 S RETAIN is 0 on what an established subscription gets
    3.3.1-10 S an empty retained PUBLISH removes the retained message and is delivered as usual
    3.3.1-11 S an empty message is not stored as retained
    3.3.1-12 S without RETAIN nothing retained is stored, removed or replaced
    3.3.2-1 B the topic name comes first in a PUBLISH and is UTF-8
    3.3.2-2 B no wildcards in a topic name
    3.3.2-3 S a delivered topic name matches the subscription's filter
    3.3.4-1 B a PUBLISH is answered as its QoS says
    3.3.5-1 S overlapping subscriptions deliver at the highest QoS among them
    3.3.5-2 S an unauthorised PUBLISH is acknowledged as usual or closes the connection
    3.6.1-1 S a PUBREL with flags other than 0010 closes the connection
    3.8.1-1 S a SUBSCRIBE with flags other than 0010 closes the connection
    3.8.3-1 C filters in a SUBSCRIBE are UTF-8
    3.8.3-2 S a server without wildcard support rejects wildcard filters
    3.8.3-3 C a SUBSCRIBE carries at least one filter
    3.8.3-4 S reserved bits or QoS 3 in a SUBSCRIBE close the connection
    3.8.4-1 S a SUBSCRIBE is answered with SUBACK
    3.8.4-2 S the SUBACK carries its identifier
    3.8.4-3 S a repeated filter replaces the subscription, re-sends retained messages and loses none in between
    3.8.4-4 S many filters in one packet work like as many packets, with one SUBACK
    3.8.4-5 S one return code per filter: the granted QoS or failure
    3.8.4-6 S messages are delivered at the lower of published and granted QoS
    3.9.3-1 S return codes in a SUBACK are in the order of the filters
    3.9.3-2 S SUBACK return codes are 0, 1, 2 or 0x80
    3.10.1-1 S an UNSUBSCRIBE with flags other than 0010 closes the connection
    3.10.3-1 C filters in an UNSUBSCRIBE are UTF-8
    3.10.3-2 C an UNSUBSCRIBE carries at least one filter
    3.10.4-1 S filters are compared character by character, and an equal one is deleted
    3.10.4-2 S after an UNSUBSCRIBE nothing new is added for the client
    3.10.4-3 S QoS 1 and 2 deliveries already begun are completed
    3.10.4-4 S an UNSUBSCRIBE is answered with an UNSUBACK of its identifier
    3.10.4-5 S also when nothing was deleted
    3.10.4-6 S many filters in one packet work like as many packets, with one UNSUBACK
    3.12.4-1 S a PINGREQ is answered with PINGRESP
    3.14.1-1 S reserved bits in DISCONNECT disconnect the client
    3.14.4-1 C after DISCONNECT the client closes the connection
    3.14.4-2 C after DISCONNECT the client sends nothing more
    3.14.4-3 S DISCONNECT discards the will
    4.1.0-1 B session state is kept for the whole session
    4.1.0-2 B a session lasts at least as long as its connection
    4.3.1-1 B QoS 0: the sender sends QoS 0 with DUP 0
    4.3.2-1 B QoS 1 sender: unused identifier, DUP 0, unacknowledged until PUBACK
    4.3.2-2 B QoS 1 receiver: PUBACK with the identifier, after which it may be used for a new message
    4.3.3-1 B QoS 2 sender: unused identifier, DUP 0, PUBREL after PUBREC, no PUBLISH after PUBREL
    4.3.3-2 B QoS 2 receiver: PUBREC, no duplicates until PUBREL, then PUBCOMP
    4.4.0-1 B a resumed session re-sends unacknowledged PUBLISH and PUBREL with their identifiers
    4.5.0-1 S a message taken is added to the session of every matching client
    4.5.0-2 C a client acknowledges whatever it receives
    4.6.0-1 C PUBLISH packets are re-sent in their order
    4.6.0-2 C PUBACKs come in the order of the PUBLISHes
    4.6.0-3 C PUBRECs come in the order of the PUBLISHes
    4.6.0-4 C PUBRELs come in the order of the PUBRECs
    4.6.0-5 S topics are ordered by default
    4.6.0-6 S on an ordered topic, one client's messages reach a subscriber in order, and the rules for clients hold too
    4.7.1-1 B wildcards only in filters
    4.7.1-2 B the multi-level wildcard stands alone in the last level
    4.7.1-3 B the single-level wildcard fills its level
    4.7.2-1 S a filter that begins with a wildcard does not match a topic that begins with $
    4.7.3-1 B topics and filters have at least one character
    4.7.3-2 B topics and filters hold no U+0000
    4.7.3-3 B topics and filters have at most 65,535 bytes
    4.7.3-4 S nothing is normalised when matching
    4.8.0-1 B a protocol violation closes the connection it came on
    4.8.0-2 B a transient error while processing a packet closes its connection
    6.0.0-1 B WebSocket: binary frames only; another kind closes the connection
    6.0.0-2 B WebSocket: packets and frames need not be aligned
    6.0.0-3 C WebSocket: the client offers subprotocol mqtt
    6.0.0-4 S WebSocket: the server selects subprotocol mqtt
    7.0.0-1 S a server that connects to other servers conforms as client and server
    7.0.0-2 B no extension is required to interoperate
    7.1.1-1 S the server runs over an ordered, lossless byte stream
    7.1.2-1 C the client runs over an ordered, lossless byte stream
`),
};
