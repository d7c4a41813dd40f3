// Every numbered statement of MQTT 5.0 (OASIS Standard, 7 March 2019, Appendix B): 251.
//
// The numbers were checked against an index extracted from the published HTML. The appendix calls 4.2-1 of the body 4.2.0-1;
// it is one statement. There is no 2.2.1-1; apart from that the numbers within each section run without a gap.

import { readStatements } from './statement.ts';

import type { Standard } from './statement.ts';

export const mqtt5: Standard = {
  name: 'MQTT 5.0',
  statements: readStatements(`
    1.5.4-1 B strings are well-formed UTF-8 without surrogates
    1.5.4-2 B no U+0000 in a string
    1.5.4-3 B a byte order mark in a string is kept
    1.5.5-1 B a variable byte integer uses as few bytes as possible
    1.5.7-1 B both strings of a pair are valid UTF-8 strings
    2.1.3-1 B reserved flag bits have the listed value
    2.2.1-2 B no packet identifier in a PUBLISH of QoS 0
    2.2.1-3 C a new SUBSCRIBE, UNSUBSCRIBE or PUBLISH above QoS 0 gets an unused identifier that is not 0
    2.2.1-4 S a new PUBLISH above QoS 0 from the server gets an unused identifier that is not 0
    2.2.1-5 B PUBACK, PUBREC, PUBREL and PUBCOMP carry the identifier of the PUBLISH
    2.2.1-6 S SUBACK and UNSUBACK carry the identifier of the request
    2.2.2-1 B without properties there is a property length of 0
    3.1.0-1 C the first packet is CONNECT
    3.1.0-2 S a second CONNECT is a protocol error and closes the connection
    3.1.2-1 S a wrong protocol name closes the connection, perhaps after 0x84
    3.1.2-2 S an unsupported version closes the connection, perhaps after 0x84
    3.1.2-3 S the reserved connect flag must be 0
    3.1.2-4 B clean start discards the session
    3.1.2-5 S without clean start an existing session is resumed
    3.1.2-6 S without clean start and without a session a new one is made
    3.1.2-7 S a will is stored with the session
    3.1.2-8 S a will is published after the connection closed and its delay or the session is over, unless deleted
    3.1.2-9 C with the will flag, will properties, topic and payload are there
    3.1.2-10 S a will is forgotten once published, or on DISCONNECT 0x00
    3.1.2-11 C without the will flag, will QoS is 0
    3.1.2-12 C will QoS is 0, 1 or 2
    3.1.2-13 C without the will flag, will retain is 0
    3.1.2-14 S will retain 0 publishes a will that is not retained
    3.1.2-15 S will retain 1 publishes a retained will
    3.1.2-16 C no user name without its flag
    3.1.2-17 C a user name with its flag
    3.1.2-18 C no password without its flag
    3.1.2-19 C a password with its flag
    3.1.2-20 C PINGREQ within the keep-alive time when there is nothing else to send
    3.1.2-21 C the client uses the server's keep-alive if it is given
    3.1.2-22 S silence for one and a half keep-alive times closes the connection as if the network had failed
    3.1.2-23 B session state is stored when the expiry interval is above 0
    3.1.2-24 S no packet above the client's maximum packet size
    3.1.2-25 S a message that is too large is discarded as if it had been sent
    3.1.2-26 S no topic alias above the client's maximum
    3.1.2-27 S no topic alias at all when the maximum is 0 or absent
    3.1.2-28 S no response information unless it was requested
    3.1.2-29 S no reason string or user property outside PUBLISH, CONNACK and DISCONNECT when problem information is refused
    3.1.2-30 C with an authentication method only AUTH and DISCONNECT before CONNACK
    3.1.3-1 C fields of the payload come in their order
    3.1.3-2 B the client identifier names the session on both sides
    3.1.3-3 C the client identifier is there and first
    3.1.3-4 C the client identifier is UTF-8
    3.1.3-5 S identifiers of 1 to 23 letters and digits are allowed
    3.1.3-6 S an empty identifier, if allowed, is replaced by a unique one
    3.1.3-7 S the assigned identifier is used and told in CONNACK
    3.1.3-8 S a rejected identifier closes the connection, perhaps after 0x85
    3.1.3-9 S a new connection within the will delay suppresses the will
    3.1.3-10 S user properties of a will keep their order
    3.1.3-11 C the will topic is UTF-8
    3.1.3-12 C the user name is UTF-8
    3.1.4-1 S a CONNECT of the wrong format closes the connection
    3.1.4-2 S a CONNECT that fails a check of its contents closes the connection
    3.1.4-3 S a connected client of the same identifier gets DISCONNECT 0x8E and is closed
    3.1.4-4 S clean start is processed
    3.1.4-5 S an accepted CONNECT is answered with reason 0x00
    3.1.4-6 S nothing but AUTH is processed after a rejected CONNECT
    3.2.0-1 S nothing but AUTH before a CONNACK 0x00
    3.2.0-2 S one CONNACK in a connection
    3.2.2-1 S reserved bits of the acknowledge flags are 0
    3.2.2-2 S clean start is answered with session present 0
    3.2.2-3 S session present says whether there was a session
    3.2.2-4 C session present without state at the client closes the connection
    3.2.2-5 C session present 0 discards the client's state
    3.2.2-6 S a refusal has session present 0
    3.2.2-7 S a refusal closes the connection
    3.2.2-8 S CONNACK uses one of its reason codes
    3.2.2-9 S a server without QoS 1 or 2 says so
    3.2.2-10 S a server without QoS 1 or 2 still accepts subscriptions at any QoS
    3.2.2-11 C no PUBLISH above the maximum QoS
    3.2.2-12 S a will above the maximum QoS is refused and closed
    3.2.2-13 S a retained will is refused and closed where there is no retain
    3.2.2-14 C no retained PUBLISH where there is no retain
    3.2.2-15 C no packet above the server's maximum packet size
    3.2.2-16 S an assigned identifier is new and told in CONNACK
    3.2.2-17 C no topic alias above the server's maximum
    3.2.2-18 C no topic alias when the server's maximum is 0 or absent
    3.2.2-19 S no reason string that makes CONNACK too large
    3.2.2-20 S no user property that makes CONNACK too large
    3.2.2-21 C the client uses the server's keep-alive
    3.2.2-22 S without a server keep-alive the client's counts
    3.3.1-1 B DUP is 1 on a repeated delivery
    3.3.1-2 B DUP is 0 at QoS 0
    3.3.1-3 S DUP going out does not depend on DUP coming in
    3.3.1-4 B QoS 3 is never sent
    3.3.1-5 S a retained PUBLISH replaces what was retained
    3.3.1-6 S an empty retained PUBLISH removes the retained message and is delivered as usual
    3.3.1-7 S an empty message is not stored as retained
    3.3.1-8 S without RETAIN nothing retained is stored, removed or replaced
    3.3.1-9 S retain handling 0 sends retained messages on every SUBSCRIBE
    3.3.1-10 S retain handling 1 sends them only for a new subscription
    3.3.1-11 S retain handling 2 never sends them
    3.3.1-12 S without retain as published RETAIN is 0 when forwarding
    3.3.1-13 S with retain as published RETAIN is as it came
    3.3.2-1 B the topic name comes first in a PUBLISH and is UTF-8
    3.3.2-2 B no wildcards in a topic name
    3.3.2-3 S a delivered topic name matches the subscription's filter
    3.3.2-4 S the payload format indicator is forwarded as it came
    3.3.2-5 S an expired message is deleted if its delivery has not begun
    3.3.2-6 S the forwarded expiry interval is what is left of it
    3.3.2-7 B topic aliases do not outlive their connection
    3.3.2-8 B a topic alias is not 0
    3.3.2-9 C no topic alias above the server's maximum
    3.3.2-10 C every alias up to the client's maximum is accepted
    3.3.2-11 S no topic alias above the client's maximum
    3.3.2-12 S every alias up to the server's maximum is accepted
    3.3.2-13 B the response topic is UTF-8
    3.3.2-14 B no wildcards in the response topic
    3.3.2-15 S the response topic is forwarded as it came
    3.3.2-16 S correlation data is forwarded as it came
    3.3.2-17 S user properties are forwarded as they came
    3.3.2-18 S user properties keep their order
    3.3.2-19 B the content type is UTF-8
    3.3.2-20 S the content type is forwarded as it came
    3.3.4-1 B a PUBLISH is answered as its QoS says
    3.3.4-2 S overlapping subscriptions deliver at the highest QoS among them
    3.3.4-3 S a delivery carries the identifiers of the overlapping subscriptions that have one
    3.3.4-4 S a single copy carries the identifiers of all matching subscriptions
    3.3.4-5 S of several copies each carries its subscription's identifier
    3.3.4-6 C no subscription identifier in a PUBLISH from a client
    3.3.4-7 C no more unacknowledged PUBLISHes than the server's receive maximum
    3.3.4-8 C other packets are not delayed by the receive maximum
    3.3.4-9 S no more unacknowledged PUBLISHes than the client's receive maximum
    3.3.4-10 S other packets are not delayed by the receive maximum
    3.4.2-1 B PUBACK uses one of its reason codes
    3.4.2-2 B no reason string that makes PUBACK too large
    3.4.2-3 B no user property that makes PUBACK too large
    3.5.2-1 B PUBREC uses one of its reason codes
    3.5.2-2 B no reason string that makes PUBREC too large
    3.5.2-3 B no user property that makes PUBREC too large
    3.6.1-1 S a PUBREL with flags other than 0010 closes the connection
    3.6.2-1 B PUBREL uses one of its reason codes
    3.6.2-2 B no reason string that makes PUBREL too large
    3.6.2-3 B no user property that makes PUBREL too large
    3.7.2-1 B PUBCOMP uses one of its reason codes
    3.7.2-2 B no reason string that makes PUBCOMP too large
    3.7.2-3 B no user property that makes PUBCOMP too large
    3.8.1-1 S a SUBSCRIBE with flags other than 0010 closes the connection
    3.8.3-1 C filters in a SUBSCRIBE are UTF-8
    3.8.3-2 C a SUBSCRIBE carries at least one filter
    3.8.3-3 S with no local a message does not return to its publisher
    3.8.3-4 B no local on a shared subscription is a protocol error
    3.8.3-5 S reserved bits in subscription options make a SUBSCRIBE malformed
    3.8.4-1 S a SUBSCRIBE is answered with SUBACK
    3.8.4-2 S the SUBACK carries its identifier
    3.8.4-3 S a repeated filter replaces the subscription
    3.8.4-4 S retain handling 0 re-sends retained messages then, and no message is lost by replacing
    3.8.4-5 S many filters in one packet work like as many packets, with one SUBACK
    3.8.4-6 S one reason code per filter
    3.8.4-7 S the reason code is the granted QoS or a failure
    3.8.4-8 S messages are delivered at the lower of published and granted QoS
    3.9.2-1 S no reason string that makes SUBACK too large
    3.9.2-2 S no user property that makes SUBACK too large
    3.9.3-1 S reason codes in a SUBACK are in the order of the filters
    3.9.3-2 S SUBACK uses one of its reason codes for each filter
    3.10.1-1 S an UNSUBSCRIBE with flags other than 0010 closes the connection
    3.10.3-1 C filters in an UNSUBSCRIBE are UTF-8
    3.10.3-2 C an UNSUBSCRIBE carries at least one filter
    3.10.4-1 S filters are compared character by character, and an equal one is deleted
    3.10.4-2 S after an UNSUBSCRIBE nothing new is added for the client
    3.10.4-3 S QoS 1 and 2 deliveries already begun are completed
    3.10.4-4 S an UNSUBSCRIBE is answered with UNSUBACK
    3.10.4-5 S the UNSUBACK carries its identifier, also when nothing was deleted
    3.10.4-6 S many filters in one packet work like as many packets, with one UNSUBACK
    3.11.2-1 S no reason string that makes UNSUBACK too large
    3.11.2-2 S no user property that makes UNSUBACK too large
    3.11.3-1 S reason codes in an UNSUBACK are in the order of the filters
    3.11.3-2 S UNSUBACK uses one of its reason codes for each filter
    3.12.4-1 S a PINGREQ is answered with PINGRESP
    3.14.0-1 S no DISCONNECT before a CONNACK below 0x80
    3.14.1-1 B reserved bits in DISCONNECT are answered with DISCONNECT 0x81
    3.14.2-1 B DISCONNECT uses one of its reason codes
    3.14.2-2 S no session expiry interval in a DISCONNECT from the server
    3.14.2-3 B no reason string that makes DISCONNECT too large
    3.14.2-4 B no user property that makes DISCONNECT too large
    3.14.4-1 B nothing is sent after DISCONNECT
    3.14.4-2 B who sends DISCONNECT closes the connection
    3.14.4-3 S DISCONNECT 0x00 discards the will
    3.15.1-1 B an AUTH with flags other than 0000 closes the connection
    3.15.2-1 B AUTH uses one of its reason codes
    3.15.2-2 B no reason string that makes AUTH too large
    3.15.2-3 B no user property that makes AUTH too large
    4.1.0-1 B session state is kept while the connection is open
    4.1.0-2 S session state is discarded when the connection is closed and the expiry interval is over
    4.2-1 B the transport is an ordered, lossless byte stream
    4.3.1-1 B QoS 0: the sender sends QoS 0 with DUP 0
    4.3.2-1 B QoS 1 sender: an unused identifier for each new message
    4.3.2-2 B QoS 1 sender: first PUBLISH with QoS 1 and DUP 0
    4.3.2-3 B QoS 1 sender: unacknowledged until PUBACK
    4.3.2-4 B QoS 1 receiver: PUBACK with the identifier, having taken the message
    4.3.2-5 B QoS 1 receiver: after PUBACK the identifier means a new message
    4.3.3-1 B QoS 2 sender: an unused identifier for each new message
    4.3.3-2 B QoS 2 sender: first PUBLISH with QoS 2 and DUP 0
    4.3.3-3 B QoS 2 sender: PUBLISH unacknowledged until PUBREC
    4.3.3-4 B QoS 2 sender: PUBREL with the identifier after a PUBREC below 0x80
    4.3.3-5 B QoS 2 sender: PUBREL unacknowledged until PUBCOMP
    4.3.3-6 B QoS 2 sender: no PUBLISH again after PUBREL
    4.3.3-7 B QoS 2 sender: no expiry once the PUBLISH was sent
    4.3.3-8 B QoS 2 receiver: PUBREC with the identifier, having taken the message
    4.3.3-9 B QoS 2 receiver: after a PUBREC of 0x80 or more the identifier means a new message
    4.3.3-10 B QoS 2 receiver: until PUBREL the same identifier gets PUBREC and no duplicate delivery
    4.3.3-11 B QoS 2 receiver: PUBREL is answered with PUBCOMP of its identifier
    4.3.3-12 B QoS 2 receiver: after PUBCOMP the identifier means a new message
    4.3.3-13 B QoS 2 receiver: the exchange goes on even if the message expired
    4.4.0-1 B a resumed session re-sends unacknowledged PUBLISH and PUBREL with their identifiers, and nothing is re-sent otherwise
    4.4.0-2 B a PUBLISH refused with 0x80 or more is not re-sent
    4.5.0-1 S a message taken is added to the session of every matching client
    4.5.0-2 C a client acknowledges whatever it receives
    4.6.0-1 C PUBLISH packets are re-sent in their order
    4.6.0-2 C PUBACKs come in the order of the PUBLISHes
    4.6.0-3 C PUBRECs come in the order of the PUBLISHes
    4.6.0-4 C PUBRELs come in the order of the PUBRECs
    4.6.0-5 S on an ordered topic, one client's messages reach a consumer in order
    4.6.0-6 S topics are ordered by default for subscriptions that are not shared
    4.7.0-1 B wildcards only in filters
    4.7.1-1 B the multi-level wildcard stands alone in the last level
    4.7.1-2 B the single-level wildcard fills its level
    4.7.2-1 S a filter that begins with a wildcard does not match a topic that begins with $
    4.7.3-1 B topics and filters have at least one character
    4.7.3-2 B topics and filters hold no U+0000
    4.7.3-3 B topics and filters have at most 65,535 bytes
    4.7.3-4 S nothing is normalised when matching
    4.8.2-1 B a shared filter begins with $share/ and a share name of at least one character
    4.8.2-2 B a share name has no /, + or #, and is followed by / and a filter
    4.8.2-3 S shared deliveries respect the granted QoS
    4.8.2-4 S a shared QoS 2 delivery under way is completed to the same client when it returns
    4.8.2-5 S if that client's session ends, the message goes to no other
    4.8.2-6 S a shared message refused with 0x80 or more is discarded
    4.9.0-1 B the initial send quota is above 0 and within the receive maximum
    4.9.0-2 B at a quota of 0 no PUBLISH above QoS 0 is sent
    4.9.0-3 B at a quota of 0 all other packets are still processed
    4.12.0-1 S an unsupported authentication method closes the connection, perhaps after 0x8C or 0x87
    4.12.0-2 S an AUTH that asks for more has reason 0x18
    4.12.0-3 C the client answers with AUTH 0x18
    4.12.0-4 S a rejected exchange closes the connection, perhaps after a CONNACK
    4.12.0-5 B AUTH and CONNACK carry the authentication method of the CONNECT
    4.12.0-6 S without a method in CONNECT no AUTH, and no method in CONNACK
    4.12.0-7 C without a method in CONNECT no AUTH from the client
    4.12.1-1 C re-authentication uses the same method
    4.12.1-2 B a failed re-authentication closes the connection, after a DISCONNECT
    4.13.1-1 S a malformed packet or protocol error with a reason code closes the connection
    4.13.2-1 B a reason code of 0x80 or more in CONNACK or DISCONNECT closes the connection
    6.0.0-1 B WebSocket: binary frames only; another kind closes the connection
    6.0.0-2 B WebSocket: packets and frames need not be aligned
    6.0.0-3 C WebSocket: the client offers subprotocol mqtt
    6.0.0-4 S WebSocket: the server selects subprotocol mqtt
`),
};
