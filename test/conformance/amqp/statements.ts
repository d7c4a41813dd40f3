// What AMQP 1.0 (OASIS Standard, 29 October 2012) demands of a container that is a broker: what must or shall be, and the defaults.
//
// The standard does not number its statements. A number here is that of the section and a count of ours; the words are ours, too.
// Which test proves a statement stands with the test (conforms.ts); coverage.ts fails where none does.

export const statements: ReadonlyMap<string, string> = read(`
  1.3-1 descriptors are numbers or symbols, and any encoding of a type is taken
  1.4-1 a mandatory field that is missing, null or of another type is an error
  1.4-2 fields at the end of a list may be left out, and null is no value

  2.2-1 a supported protocol header is answered with the same
  2.2-2 an unsupported version is answered with a supported one, and closed
  2.2-3 bytes that are no header are answered with a valid one, and closed
  2.2-4 a protocol id that is not acceptable is answered with one that is, and closed
  2.3.1-1 a frame shorter than 8 bytes is malformed
  2.3.1-2 a data offset below 2 is malformed
  2.3.1-3 an extended header is skipped
  2.3.2-1 the body of a frame is one of the performatives
  2.3.2-2 a frame without body is traffic and nothing else
  2.4-1 channels of the two directions have nothing to do with each other
  2.4.1-1 open is the first frame
  2.4.1-2 open is sent on channel 0
  2.4.1-3 before the open of the other side frames have at most 512 bytes
  2.4.1-4 there is one open
  2.4.2-1 what is pipelined cannot be told from what is not
  2.4.3-1 a close is answered with a close, the last thing that is written
  2.4.3-2 a close may come on any channel
  2.4.3-3 a connection is closed with the reason
  2.4.3-4 open and close may be pipelined
  2.4.4-1 both sides may close at once
  2.4.5-1 whoever hears nothing for longer than its threshold closes with an error
  2.4.5-2 half of the threshold is told to the other side
  2.4.5-3 a peer with an idle time-out hears something within it; 0 is none
  2.4.5-4 an empty frame counts as activity, whatever its channel
  2.4.5-5 a time-out that cannot be kept is answered with close and an error
  2.4.6-1 after a close for an error what comes is discarded
  2.5.1-1 a begin is answered on a free channel
  2.5.1-2 the lowest free channel is taken
  2.5.1-3 remote-channel is not set in a begin that begins
  2.5.2-1 an end is answered with an end
  2.5.2-2 a channel without session takes no frames of sessions
  2.5.3-1 both sides may end at once
  2.5.4-1 a session that cannot process its input is ended with the error
  2.5.4-2 until the other side's end all input is discarded
  2.5.5-1 an ended session's channel can begin again
  2.5.6-1 each incoming transfer increments next-incoming-id
  2.5.6-2 transfer-ids are serial numbers that wrap
  2.5.6-3 a flow sets next-incoming-id to the sender's next-outgoing-id
  2.5.6-4 transfers beyond the incoming window are a window violation
  2.5.6-5 the incoming window is told anew as it is used
  2.5.6-6 remote-incoming-window is decremented with every transfer sent, and nothing is sent without
  2.5.6-7 a flow sets it to next-incoming-id plus incoming-window minus next-outgoing-id
  2.5.6-8 without next-incoming-id the initial outgoing id takes its place
  2.5.6-9 each outgoing transfer increments next-outgoing-id
  2.6.1-1 a link is named by its two containers, its direction and its name
  2.6.1-2 a link that is attached elsewhere is stolen: the first attachment is closed with that error
  2.6.1-3 another container's link of the same name is another one
  2.6.2-1 the handles of the two sides have nothing to do with each other
  2.6.3-1 where there is no terminus the attach says so by null
  2.6.3-2 such a link is detached at once
  2.6.3-3 the properties of a terminus as it was made are told
  2.6.3-4 durability is not told where there is none
  2.6.3-5 a link may be recovered by its name alone
  2.6.3-6 the attach of an existing terminus has its unsettled state
  2.6.4-1 a detach frees the handle, and is answered
  2.6.4-2 a link may be attached again
  2.6.4-3 both sides may detach at once
  2.6.4-4 nothing is sent on a handle that is not attached
  2.6.5-1 a link with an error is detached with it
  2.6.5-2 input for a link that was detached with an error ends the session with errant-link
  2.6.6-1 a closing detach is answered with a closing one
  2.6.6-2 a closing detach that meets one that does not close is answered by an attach and a closing detach
  2.6.7-1 credit is 0 at first
  2.6.7-2 the sender's credit is the receiver's delivery-count plus its credit minus the sender's delivery-count
  2.6.7-3 whoever increases delivery-count decreases the credit
  2.6.7-4 without delivery-count that of the first attach is meant
  2.6.7-5 a sender that drains moves delivery-count until there is no credit, and says so
  2.6.7-6 delivery-count wraps
  2.6.7-7 a drain is answered in any case
  2.6.7-8 more deliveries than credit may end the link with transfer-limit-exceeded
  2.6.7-9 a receiver's delivery-count begins with the sender's, and is told with the credit
  2.6.7-10 the sender alone may move delivery-count; the receiver follows
  2.6.7-11 all that is available is sent before a drain is over
  2.6.7-12 what cannot be sent for another reason does not hold it up
  2.6.8-1 after a drain a receiver knows whether there was a message
  2.6.10-1 a credit of 0 stops a link, and an echo tells when
  2.6.12-1 delivery-tags are unique among what is unsettled; delivery-ids are of the session
  2.6.12-2 who settles first is as was negotiated
  2.6.12-3 what was sent settled is not answered
  2.6.12-4 the sender settles when the receiver has an outcome, and tells its own state
  2.6.12-5 what is settled is forgotten
  2.6.13-1 what only the sender has unsettled may be sent again, not as resumed
  2.6.13-2 what both have unsettled is resumed
  2.6.13-3 a resumed delivery has its flag set
  2.6.13-4 what only the receiver has unsettled is ignored by the sender
  2.6.13-5 delivery-ids are new on the new link
  2.6.13-6 nothing new is unsettled before both maps are complete: known deliveries are reduced, then the link is suspended
  2.6.13-7 that holds with nothing to reduce, too
  2.6.13-8 a map that is too large leaves out what it can
  2.6.13-9 what only the receiver has unsettled is settled at the receiver
  2.6.13-10 a receiver takes up what is resumed, and does not process it twice
  2.6.13-11 a resumed delivery may carry nothing but the sender's terminal state
  2.6.13-12 a receiver ignores what is resumed and not known
  2.6.13-13 what an incomplete map leaves out is not settled
  2.6.14-1 a message may come in many frames
  2.6.14-2 deliveries of other links may come between
  2.6.14-3 what was aborted is discarded
  2.6.14-4 deliveries of one link are not interleaved, and all frames but the last have more set
  2.7.1-1 container-id is mandatory
  2.7.1-2 no frame is sent that is larger than the other side's max-frame-size
  2.7.1-3 an oversized frame is a framing error
  2.7.1-4 frames of 512 bytes are taken by everybody
  2.7.1-5 a channel above channel-max is a framing error
  2.7.1-6 no channel above the other side's channel-max is used
  2.7.1-7 capabilities, locales and properties that are not known have no effect
  2.7.2-1 remote-channel is set in the answer to a begin
  2.7.2-2 a handle above handle-max is a framing error, and none above the other side's is used
  2.7.3-1 an attach on a handle in use ends the session with handle-in-use
  2.7.3-2 the lowest free handle is taken
  2.7.3-3 the settle modes in use are told by whom they bind; the default is mixed and first
  2.7.3-4 initial-delivery-count is not null from a sender
  2.7.3-5 that binds us, too
  2.7.3-6 a message above max-message-size is an error of the link
  2.7.3-7 no message above the other side's max-message-size is sent; 0 is no limit
  2.7.3-8 after an incomplete map only resumed deliveries are sent
  2.7.3-9 a map that does not fit into a frame is told in part
  2.7.3-10 whoever has told an incomplete map detaches with an error on a delivery that is not resumed
  2.7.4-1 a handle that is not attached ends the session with unattached-handle
  2.7.4-2 a flow without handle has no fields of links; an echo is answered
  2.7.4-3 an echo of a link is answered with its state
  2.7.4-4 also if it comes before the link is answered
  2.7.4-5 a flow of a link has the state of its session
  2.7.5-1 what the first frame says may be left out later
  2.7.5-2 another delivery-id, tag or message-format on a later frame is an error
  2.7.5-3 the first frame has delivery-id and delivery-tag
  2.7.5-4 aborted goes before more, and settles
  2.7.5-5 settled is false at first, and true from the frame that sets it
  2.7.5-6 rcv-settle-mode holds for its delivery; second is illegal where first was negotiated
  2.7.5-7 it is ignored where the delivery is sent settled
  2.7.5-8 resumed deliveries that are not in the unsettled map are ignored
  2.7.5-9 settled is as the negotiated snd-settle-mode promises
  2.7.6-1 a disposition holds for first to last, over all links of the role; last is first by default
  2.7.6-2 the role says whose deliveries are meant
  2.7.6-3 delivery-ids are serial numbers
  2.7.6-4 a state that is not terminal settles nothing
  2.7.6-5 a change of state is told to the other side
  2.7.6-6 a disposition may be of a delivery that is not whole
  2.7.6-7 deliveries of links that were detached without error are live: their dispositions are applied
  2.7.7-1 closed is false by default
  2.7.9-1 after close nothing is sent
  2.8.3-1 second: the receiver settles after the sender has
  2.8.7-1 a delivery-tag has at most 32 bytes
  2.8.18-1 a link error says what was wrong

  3.2-1 the bare message goes on in its exact encoding
  3.2-2 a message is of the sections of its format, in their order
  3.2.1-1 without header its defaults hold: priority 4
  3.2.1-2 durable messages are not lost with the node
  3.2.1-3 ten priorities are distinct, what is above is the highest
  3.2.1-4 a message is not delivered when its ttl is over
  3.2.1-5 delivery-count is that of failed deliveries
  3.2.2-1 delivery annotations are for one hop
  3.2.3-1 message annotations are propagated
  3.2.4-1 a message without address of its link goes by its to
  3.2.4-2 on a link without address what cannot be routed detaches it, if it was sent settled (Anonymous Terminus 1.0, 2.2.2)
  3.2.4-3 or if the source does not take rejected; the error tells the delivery-tag
  3.2.10-1 a key of annotations that is not understood and does not begin with x-opt- detaches the link
  3.4.1-1 received is sent with the first frame of a resumed delivery only
  3.4.2-1 accepted is final
  3.4.3-1 rejected is final, and its error is of the message
  3.4.4-1 released leaves delivery-count as it is
  3.4.5-1 modified increments delivery-count if delivery-failed is set
  3.4.5-2 undeliverable-here: not to this link again
  3.4.5-3 message-annotations of modified are merged
  3.4.6-1 delivery 1 of the example: sent anew
  3.4.6-2 deliveries 2 and 4: resumed
  3.4.6-3 delivery 3: the receiver's outcome is applied
  3.4.6-4 delivery 10: settled
  3.4.6-5 deliveries 11 to 14: the sender's outcome stands, and is told
  3.5.1-1 move and copy
  3.5.2-1 what was accepted is not sent again
  3.5.3-1 a receiver does not give an address with dynamic
  3.5.3-2 a sender does
  3.5.3-3 a sender tells distribution-mode, outcomes, default-outcome and filters as they are
  3.5.3-4 what is settled without outcome has the default outcome
  3.5.3-5 also when the source is destroyed
  3.5.4-1 a sender does not give the address of a dynamic target
  3.5.4-2 a receiver does
  3.5.5-1 a durable terminus outlives its link
  3.5.6-1 a terminus expires as its policy and time-out say
  3.5.9-1 each dynamic node is a new one
  3.5.10-1 delete-on-close: with the link that made it
  3.5.10-2 delete-on-no-links, -no-messages and -no-links-or-messages: when these are gone

  4.1-1 an attach to the coordinator is answered with it
  4.2-1 a declare is answered with declared and a txn-id
  4.2-2 a declare that is sent settled is an error of the link
  4.2-3 what cannot be declared is rejected with the error
  4.2-4 without the outcome rejected the link is detached with it
  4.3-1 a discharge commits
  4.3-2 a discharge with fail rolls back, and can always be done
  4.3-3 a discharge that is sent settled is an error
  4.3-4 a discharged txn-id is unknown
  4.3-5 a discharge that fails is told as a declare is
  4.3-6 the end of the control link rolls back
  4.4-1 a transaction may span links and sessions where that is offered
  4.4.1-1 what is posted is not there before the discharge
  4.4.1-2 and never after a rollback
  4.4.1-3 a discharge while a delivery is not whole ends the control link with a rollback
  4.4.1-4 the outcome of what is posted is told before the discharge, within the transaction
  4.4.1-5 what cannot be processed keeps the transaction from being committed
  4.4.2-1 a retirement is applied by the discharge
  4.4.2-2 after a rollback what is unsettled is as it was
  4.4.2-3 what the controller has settled has the default outcome then
  4.4.2-4 an unknown txn-id is an error
  4.4.3-1 a link that does not acquire within transactions is detached where it is asked to
  4.5.1-1 the coordinator's capabilities are told
  4.5.2-1 there is no global-id without distributed transactions

  5.2-1 where a security layer is needed its header is the answer
  5.3-1 a client may pipeline all of it
  5.3.1-1 a header of SASL is answered with one
  5.3.2-1 the server sends its mechanisms, in frames of type 1 with at most 512 bytes
  5.3.2-2 after the outcome a new header is exchanged
  5.3.2-3 bytes 6 and 7 of the header and the extended header are ignored
  5.3.3-1 code 0: the peer is who it says
  5.3.3-2 a mechanism that is not supported ends the connection with code 1
  5.3.3-3 code 1: credentials that are not good
  5.3.3-4 code 4: a fault that passes
  5.3.3-5 the frames of SASL have their order
  5.3.3-6 an empty challenge asks for the response that is missing
`);

/** What we do not do as the standard says, and why. */
export const deviations: Readonly<Record<string, string>> = {
  '2.6.5-2':
    'transfers are on their way when we detach a link: to end the session for them would end its other links, which have done nothing. They are ignored',
  '2.6.6-2': 'clients take an attach that they did not ask for as a new link: such a detach is taken as the end of it',
  '2.7.6-7': 'a source tells that its time runs from the detach: what was unsettled is given back then, or kept for the resumed link',
  '3.2.10-1': 'intermediaries must propagate message annotations, and clients send keys without x-opt-: they go on as they are',
  '3.5.10-2': 'such a node goes with the connection that made it, however many links and messages it has',
};

/** One statement a line: id, then words. */
function read(text: string): ReadonlyMap<string, string> {
  const found = new Map<string, string>();
  for (const line of text.split('\n')) {
    if (line.trim() === '') continue;
    const match = /^\s*(\d[\d.]*-\d+) (.+)$/.exec(line);
    if (match === null) throw new Error(`not a statement: ${line}`);
    if (found.has(match[1]!)) throw new Error(`statement ${match[1]} occurs twice`);
    found.set(match[1]!, match[2]!);
  }
  return found;
}
