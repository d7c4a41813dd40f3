// RFC 7252 §5.5 to §5.10 and §12.8, RFC 7641, RFC 8132, RFC 8516, RFC 8768, RFC 6690, RFC 9176 and draft-ietf-core-coap-pubsub-21: what the
// resources must do.

export const resourceStatements = `
  7252/5.8.1-1 GET changes nothing
  7252/5.5.2-1 an error says in words what is wrong, in UTF-8
  7252/5.6.1-1 what must not be answered with again has Max-Age 0
  7252/5.8-1 a method that a resource does not know is answered 4.05
  7252/5.8.2-1 a POST that creates a resource is answered 2.01, with its place
  7252/5.8.3-1 a PUT is answered 2.01 when it creates, else 2.04
  7252/5.8.4-1 a DELETE is answered 2.02, also where nothing was
  7252/5.9.1.3-1 a 2.03 has an ETag and no payload
  7252/5.9.2.9-1 a 4.13 tells the largest size by Size1
  7252/5.9.3.4-1 a 5.03 tells by Max-Age when to try again
  7252/5.10.1-1 segments of a path are neither . nor ..
  7252/5.10.1-2 Uri-Host and Uri-Port are understood; every name that leads here is this node's
  7252/5.10.3-1 the format of a payload is told by Content-Format, and nothing is guessed where there is none
  7252/5.10.4-1 what cannot be given in the format that is asked for is answered 4.06
  7252/5.10.5-1 Max-Age tells for how long a value is fresh
  7252/5.10.6-1 who has a value by its ETag is told that it is valid
  7252/5.10.7-1 Location-Path has no segments . and .., and none longer than 255 bytes
  7252/5.10.8.1-1 with If-Match nothing is done unless the value is one of those: 4.12
  7252/5.10.8.2-1 with If-None-Match nothing is done when there is a value: 4.12
  7252/5.10.8-1 a condition that cannot be looked at is answered 4.02
  7252/8.2-3 a request to a group that has nothing to tell is not answered
  7252/12.8-1 groups are joined only where that is configured
  7641/2-1 a value of Observe other than 0 and 1 is as if there were none
  7641/4.3.2-1 an observer that has the value already is told so by 2.03
  7641/3.6-2 a GET with Observe 1 ends the observation of its token
  7641/4.1-2 who cannot be observed any more is answered like a plain GET
  7641/4.2-2 a notification with an error is the last one
  7641/4.2-3 all notifications have the format of the first one
  7641/4.2-4 an observation that cannot go on in its format ends with 4.06
  7641/4.3.1-1 notifications tell by Max-Age for how long they are fresh
  7641/4.4-1 the numbers of notifications rise
  7641/4.5-2 at least every 24 hours a notification is confirmable
  7641/4.5-3 a confirmable notification waits for the one before it
  7641/4.5-4 what waits gives way to a newer value
  7641/4.5.1-1 without an estimate of the round trip there is at most one non-confirmable notification in 3 seconds
  7641/7-1 observations of one peer are bounded
  8323/7.4-2 a client over reliable transports ends an observation by a GET with Observe 1
  9175/2.3-2 a client repeats a request that was answered 4.01 with an Echo, once, with that Echo
  8132/2-1 what a FETCH asks for is in its body
  8132/3-1 PATCH and iPATCH change a part, and are refused where they are not known
  8132/2.2-1 a body in a format that is not known is answered 4.15
  8516/3-1 a 4.29 tells by Max-Age when to try again
  8768/3-1 a Hop-Limit of 0, or above 255, is answered 4.00
  6690/2-1 links are read and written as the format says
  6690/4-1 /.well-known/core tells links in application/link-format
  6690/4.1-1 a query chooses among the links, by name and by the beginning of a value
  9176/4.3-1 the directory and its lookups are found by their types
  9176/5-1 a registration is answered 2.01 with its place
  9176/5-2 names have up to 63 bytes, lifetimes are 1 to 4294967295
  9176/5-3 the same name registered again keeps its place
  9176/5-4 who does not tell a base is reached where it was heard
  9176/5.1-1 simple registration is answered at once, and the device is asked for its links
  9176/5.3-1 a registration is over when its lifetime is
  9176/5.3.1-1 an update changes what it names, and prolongs
  9176/5.3.2-1 a removal is answered 2.02
  9176/6.1-1 lookups give links that stand by themselves
  9176/6.2-1 lookups filter by attributes of links and of registrations
  9176/6.2-2 lookups give pages, by page and count
  9176/6.2-3 lookups can be observed
  9176/7-1 nobody registers in another's name
  pubsub/2.4-2 topics are created by POST to the collection, with 2.01 and their place
  pubsub/2.3-1 collections and topics are found by their types
  pubsub/2.4-1 topics are listed by GET and chosen by FETCH
  pubsub/2.5-1 a topic is read, changed in part or whole, and deleted
  pubsub/2.5-2 name, data and type of a topic do not change
  pubsub/3.1-1 before the first publication there is no data: 4.04
  pubsub/3.2-1 data is published by PUT: 2.01, then 2.04; in another format: 4.15
  pubsub/3.2-2 data is observed, and its deletion ends that with 4.04
  pubsub/3.2-3 a topic that is over takes its data and observers with it
`;
